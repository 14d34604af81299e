"""The image to map and the part of it, as plain values."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsRasterLayer

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.layers.web_layer import is_web_layer, read_web_layer
from scasnet_qgis.qgis_ui.processing.layer_parameters import EXTENT


def read_image(
    algorithm: QgsProcessingAlgorithm,
    name: str,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    card: ModelCard,
) -> dict[str, Any]:
    """What an ImageInput is told of the layer of the parameter ``name`` and the extent.

    Call it in the main thread; raises InputError and SettingError.
    """
    layer = algorithm.parameterAsRasterLayer(parameters, name, context)
    if layer is None:
        text = translate("ScasNet", "The image cannot be opened: choose a raster file or layer.")
        raise InputError(text)
    extent = None
    if parameters.get(EXTENT) not in (None, ""):
        box = algorithm.parameterAsExtent(parameters, EXTENT, context, layer.crs())
        if box.isNull():
            text = translate(
                "ScasNet",
                "The extent is empty: choose another one, or leave it empty for the whole image.",
            )
            raise SettingError(text)
        extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    if is_web_layer(layer):
        return read_web_layer(algorithm, parameters, context, layer, extent, card)
    return {"source": layer.source(), "extent": extent, **reference_of(layer)}


def reference_of(layer: QgsRasterLayer) -> dict[str, Any]:
    """The layer's reference system: one that the user set wins over that of the file."""
    wkt = layer.crs().toWkt() if layer.crs().isValid() else ""
    own = layer.dataProvider().crs()
    return {"fallback_wkt": wkt, "layer_wins": own.isValid() and own != layer.crs()}
