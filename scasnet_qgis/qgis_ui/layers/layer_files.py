"""QGIS layers as files that GDAL can open, and the classes of their legends."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from osgeo import gdal
from qgis.core import (
    NULL,
    QgsCategorizedSymbolRenderer,
    QgsFields,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.model_card import MAX_CLASSES
from scasnet_qgis.common.redaction import shown_name
from scasnet_qgis.i18n import translate
from scasnet_qgis.labels.label_class import LabelClass, by_number, make_classes, value_text
from scasnet_qgis.labels.labels import classes_of


@dataclass(frozen=True)
class LayerFile:
    """A file that GDAL or OGR can open. ``layer`` is "" for rasters and for the only layer."""

    path: str
    layer: str
    is_vector: bool
    wkt: str  # "" where the layer has no coordinate reference system


def name_of(layer: QgsMapLayer) -> str:
    """As the user knows it, without keys; one that has no name of its own has that of its service.

    QGIS 3.40 and later name such a layer by its whole source.
    """
    return shown_name(layer.name(), layer.source())


def layer_file(
    layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
) -> LayerFile:
    """The file behind a layer; call it in the main thread.

    Vector layers that are no file of their own, are filtered, or have fields that only QGIS knows
    are saved to a temporary GeoPackage. Raises InputError for rasters that are no file, for
    layers with unsaved edits and for layers that are neither raster nor vector.
    """
    if isinstance(layer, QgsRasterLayer):
        return LayerFile(raster_path(layer), "", False, wkt_of(layer))
    if not isinstance(layer, QgsVectorLayer):
        raise InputError(
            translate(
                "ScasNet",
                "Layer {name} is neither a raster nor a vector layer: choose another one.",
            ),
            name=name_of(layer),
        )
    check_saved(layer)
    path, layer_name = _vector_path(layer, context, feedback)
    return LayerFile(path, layer_name, True, wkt_of(layer))


def wkt_of(layer: QgsMapLayer) -> str:
    """The layer's coordinate reference system, "" where it has none."""
    return str(layer.crs().toWkt()) if layer.crs().isValid() else ""


def check_saved(layer: QgsVectorLayer) -> None:
    """Raise InputError where edits are in no file yet."""
    if layer.isModified():
        raise InputError(
            translate("ScasNet", "The layer {name} has unsaved edits: save them and try again."),
            name=name_of(layer),
        )


def raster_path(layer: QgsRasterLayer | None) -> str:
    """What GDAL opens for a raster layer; raises InputError where there is no such thing."""
    if layer is None or not layer.isValid() or layer.providerType() != "gdal":
        raise InputError(
            translate(
                "ScasNet",
                "The layer {name} is not a raster file: save it as a GeoTIFF first, and choose "
                "that.",
            ),
            name="" if layer is None else name_of(layer),
        )
    return str(layer.source())


def _vector_path(
    layer: QgsVectorLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
) -> tuple[str, str]:
    """The path of a vector layer and its name inside of that file."""
    fields = layer.fields()
    origins = {fields.fieldOrigin(index) for index in range(fields.count())}
    # Joined and computed fields are in no file.
    all_in_file = origins <= {QgsFields.FieldOrigin.OriginProvider}
    path, layer_name = QgsProcessingUtils.convertToCompatibleFormatAndLayerName(
        layer,
        False,
        "labels",
        QgsVectorFileWriter.supportedFormatExtensions() if all_in_file else [],
        "gpkg",
        context,
        feedback,
    )
    return path, layer_name_in_file(layer, path, layer_name)


def layer_name_in_file(layer: QgsVectorLayer, path: str, layer_name: str) -> str:
    """The name of a layer in its file; QGIS gives none where it knows it by its number."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    number = parts.get("layerId")
    if not layer_name and path == parts.get("path") and number is not None:
        return _name_of_layer(path, int(number))
    return layer_name


def _name_of_layer(path: str, number: int) -> str:
    with suppress(RuntimeError):  # the first layer will be tried, which says what is wrong
        dataset = gdal.OpenEx(path, gdal.OF_VECTOR)
        layer = None if dataset is None else dataset.GetLayer(number)
        return "" if layer is None else str(layer.GetName())
    return ""


def check_field(layer: QgsVectorLayer, field: str) -> None:
    """Raise SettingError, which lists the fields, where ``field`` is none of the layer's."""
    names = [known.name() for known in layer.fields()]
    if field in names:
        return
    text = translate("ScasNet", "Choose the class field of layer {name}. Fields: {fields}.")
    if field:
        text = translate("ScasNet", "Layer {name} has no field '{field}': choose one of {fields}.")
    fields = ", ".join(names) or translate("ScasNet", "no fields")
    raise SettingError(text, name=name_of(layer), field=field, fields=fields)


def classes_of_layer(layer: QgsMapLayer, field: str) -> list[LabelClass]:
    """The classes of a layer of labels, with the names and colours of its legend.

    A polygon layer has the values of ``field`` that occur, those of the legend first; a raster
    the values of its legend, or, where it has none of its own, what ``raster.labels`` finds.
    """
    found = classes_in_legend(layer, field)
    if found or isinstance(layer, QgsVectorLayer):
        return found
    return classes_of(raster_path(layer))


def classes_in_legend(layer: QgsMapLayer, field: str) -> list[LabelClass]:
    """As ``classes_of_layer``, but none for a raster without a legend: no raster is read here."""
    if isinstance(layer, QgsVectorLayer):
        return _classes_of_vector(layer, field)
    return _classes_of_palette(layer)


def _classes_of_vector(layer: QgsVectorLayer, field: str) -> list[LabelClass]:
    check_field(layer, field)
    names, colors = _legend_categories(layer, field)
    values = layer.uniqueValues(layer.fields().indexOf(field), MAX_CLASSES + 2)
    occurring = set(_value_texts(values))
    ordered = [name for name in names if name in occurring]
    ordered += by_number(occurring - set(ordered))
    return make_classes(ordered, _without_plain_values(names), colors, name_of(layer))


def _legend_categories(layer: QgsVectorLayer, field: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and colours by value, in the order of the legend."""
    names: dict[str, str] = {}
    colors: dict[str, str] = {}
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return names, colors
    if renderer.classAttribute().strip('"') != field:
        return names, colors
    for category in renderer.categories():
        value = category.value()
        several = isinstance(value, (list, tuple))
        for text in _value_texts(value if several else [value]):
            # One entry for several values would give them one name, and they are several classes.
            names[text] = text if several else category.label().strip()
            if category.symbol() is not None:
                colors[text] = category.symbol().color().name()
    return names, colors


def _value_texts(values: Iterable[Any]) -> list[str]:
    """The texts of field values; nothing and empty texts are no values."""
    kept = [value for value in values if value is not None and value != NULL]
    texts = [value_text(int(value) if isinstance(value, bool) else value) for value in kept]
    return [text for text in texts if text]


def _classes_of_palette(layer: QgsRasterLayer) -> list[LabelClass]:
    renderer, provider = layer.renderer(), layer.dataProvider()
    if not isinstance(renderer, QgsPalettedRasterRenderer) or renderer.band() != 1:
        return []
    entries = {value_text(float(entry.value)): entry for entry in renderer.classes()}
    table = {value_text(float(entry.value)) for entry in provider.colorTable(1)}
    if table == set(entries) or len(entries) > MAX_CLASSES:
        return []  # QGIS shows the colour table of the file, with many a value that never occurs
    if provider.sourceHasNoDataValue(1):
        entries.pop(value_text(float(provider.sourceNoDataValue(1))), None)
    names = {value: entry.label.strip() for value, entry in entries.items()}
    colors = {value: entry.color.name() for value, entry in entries.items()}
    return make_classes(by_number(entries), _without_plain_values(names), colors, name_of(layer))


def _without_plain_values(names: dict[str, str]) -> dict[str, str]:
    """Without those that are the value itself, which QGIS writes where there is no name."""
    return {value: name for value, name in names.items() if value_text(name) != value}
