"""The mask parameter (a polygon layer), as plain values."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from scasnet_qgis.algorithms.input_parameters import MASK
from scasnet_qgis.algorithms.layers import check_saved, name_inside, name_of
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.i18n import translate

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
    return {"mask": path, "mask_layer": name_inside(layer, path, layer_name)}


def _check_selection(layer: QgsVectorLayer) -> None:
    if not layer.selectedFeatureCount():
        raise InputError(
            translate(
                "ScasNet",
                "Nothing is selected in the mask {name}: select polygons, or take all of them.",
            ),
            name=name_of(layer),
        )
