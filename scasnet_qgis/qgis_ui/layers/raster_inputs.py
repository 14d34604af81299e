"""Raster parameters as plain values: the image, the mask, the map and its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsVectorLayer,
)

from scasnet_qgis.accuracy import sample_file
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.i18n import translate
from scasnet_qgis.labels.class_matching import has_names
from scasnet_qgis.labels.label_class import LabelClass
from scasnet_qgis.labels.labels import classes_of
from scasnet_qgis.qgis_ui.layers.layer_files import (
    LayerFile,
    check_saved,
    classes_in_legend,
    layer_file,
    layer_name_in_file,
    name_of,
    raster_path,
    wkt_of,
)
from scasnet_qgis.qgis_ui.layers.web_layer import is_web_layer, read_web_layer
from scasnet_qgis.qgis_ui.processing.parameters import CLASS_FIELD, EXTENT, MAP, MASK, REFERENCE


def read_image(
    algorithm: QgsProcessingAlgorithm,
    name: str,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    card: ModelCard,
) -> dict[str, Any]:
    """The arguments of an ImageInput for the layer of the parameter ``name`` and the extent.

    A reference system that the user set wins over that of the file. Call it in the main thread;
    raises InputError and SettingError.
    """
    layer = algorithm.parameterAsRasterLayer(parameters, name, context)
    if layer is None:
        text = translate("ScasNet", "The image cannot be opened: choose a raster file or layer.")
        raise InputError(text)
    extent = _extent(algorithm, parameters, context, layer)
    if is_web_layer(layer):
        return read_web_layer(algorithm, parameters, context, layer, extent, card)
    own = layer.dataProvider().crs()
    return {
        "source": layer.source(),
        "extent": extent,
        "fallback_wkt": wkt_of(layer),
        "layer_wins": own.isValid() and own != layer.crs(),
    }


def _extent(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    layer: QgsRasterLayer,
) -> tuple[float, float, float, float] | None:
    """x_min, y_min, x_max, y_max in the layer's coordinates; None where no extent is given."""
    if parameters.get(EXTENT) in (None, ""):
        return None
    box = algorithm.parameterAsExtent(parameters, EXTENT, context, layer.crs())
    if box.isNull():
        text = translate(
            "ScasNet",
            "The extent is empty: choose another one, or leave it empty for the whole image.",
        )
        raise SettingError(text)
    return box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()


@dataclass(frozen=True)
class MapInput:
    """``extent`` is in the map's coordinates; ``legend`` are the classes that QGIS shows."""

    path: str = ""
    wkt: str = ""
    extent: tuple[float, float, float, float] | None = None
    legend: tuple[LabelClass, ...] = ()

    def classes(self, progress: Progress) -> tuple[LabelClass, ...]:
        """The classes that the file names; of a file without names those of the legend.

        Where neither has names, the values that occur: finding them reads the map.
        """
        found = tuple(classes_of(self.path, progress=progress))
        return self.legend if has_names(self.legend) and not has_names(found) else found


def read_map(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> MapInput:
    """Call it in the main thread; raises InputError and SettingError."""
    layer = algorithm.parameterAsRasterLayer(parameters, MAP, context)
    if layer is None:
        raise InputError(translate("ScasNet", "The map cannot be opened: choose a raster file."))
    path, extent = raster_path(layer), _extent(algorithm, parameters, context, layer)
    return MapInput(path, wkt_of(layer), extent, tuple(classes_in_legend(layer, "")))


# Quick to search, or soon so; QGIS turns anything else into a GeoPackage.
_FORMATS = ["gpkg", "shp", "fgb", "sqlite"]


def read_mask(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> dict[str, Any]:
    """The mask arguments of an ImageInput; empty where there is no mask.

    A selection, a filter, or a layer that is no file is saved to a temporary GeoPackage. Call it
    in the main thread; raises InputError.
    """
    given = parameters.get(MASK)
    if given in (None, ""):
        return {}
    is_selection = isinstance(given, QgsProcessingFeatureSourceDefinition)
    # Older versions of QGIS take no definition where they are asked for a layer.
    named = {**parameters, MASK: given.source if is_selection else given}
    layer = algorithm.parameterAsVectorLayer(named, MASK, context)
    if layer is None or not layer.isValid():
        text = translate("ScasNet", "The mask cannot be opened: choose a polygon layer, or none.")
        raise InputError(text)
    check_saved(layer)
    if is_selection and given.selectedFeaturesOnly:
        _check_selection(layer)
    # A reference system that QGIS was told is in no file yet.
    same_crs = layer.dataProvider().crs() == layer.crs()
    path, layer_name = algorithm.parameterAsCompatibleSourceLayerPathAndLayerName(
        parameters, MASK, context, _FORMATS if same_crs else [], "gpkg", feedback
    )
    return {"mask": path, "mask_layer": layer_name_in_file(layer, path, layer_name)}


def _check_selection(layer: QgsVectorLayer) -> None:
    if not layer.selectedFeatureCount():
        raise InputError(
            translate(
                "ScasNet",
                "No features are selected in mask {name}: select polygons, or untick "
                "'Selected features only'.",
            ),
            name=name_of(layer),
        )


@dataclass(frozen=True)
class ReferenceInput:
    """``field`` is "" for rasters; ``legend`` are the classes that QGIS shows."""

    file: LayerFile
    field: str
    legend: tuple[LabelClass, ...]


def read_reference(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> ReferenceInput:
    """Call it in the main thread; raises InputError and SettingError."""
    layer = algorithm.parameterAsLayer(parameters, REFERENCE, context)
    if layer is None:
        text = translate("ScasNet", "The reference cannot be opened: choose another layer.")
        raise InputError(text)
    field = ""
    if isinstance(layer, QgsVectorLayer):
        chosen = algorithm.parameterAsFields(parameters, CLASS_FIELD, context)
        field = str(chosen[0]) if chosen else _field_of_sample(layer)
    legend = tuple(classes_in_legend(layer, field))
    return ReferenceInput(layer_file(layer, context, feedback), field, legend)


def _field_of_sample(layer: QgsVectorLayer) -> str:
    """The field in which a sample is labelled; "" where the layer is no sample."""
    names = {field.name() for field in layer.fields()}
    is_sample = names.issuperset((sample_file.REFERENCE, *sample_file.DESIGN_FIELDS))
    return sample_file.REFERENCE if is_sample else ""
