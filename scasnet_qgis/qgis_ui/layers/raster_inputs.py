"""The map raster and extent parameters, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from scasnet_qgis.accuracy import sample_file
from scasnet_qgis.common.errors import InputError, SettingError
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
)
from scasnet_qgis.qgis_ui.processing.layer_parameters import (
    CLASS_FIELD,
    EXTENT,
    MAP,
    MASK,
    REFERENCE,
)


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
    path = raster_path(layer)
    wkt = layer.crs().toWkt() if layer.crs().isValid() else ""
    extent = None
    if parameters.get(EXTENT) not in (None, ""):
        box = algorithm.parameterAsExtent(parameters, EXTENT, context, layer.crs())
        if box.isNull():
            raise SettingError(
                translate("ScasNet", "The extent is empty: choose another extent, or none.")
            )
        extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    return MapInput(path, wkt, extent, tuple(classes_in_legend(layer, "")))


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
