"""A web layer as input image: its grid, renderer, service and attribution."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop
from qgis.PyQt.QtXml import QDomDocument

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.redaction import address_of, plain_address, without_secrets
from scasnet_qgis.i18n import translate
from scasnet_qgis.images.rendered_layer import Extent, RenderedLayer, rendered_grid
from scasnet_qgis.mapping.settings import WebLayerOptions
from scasnet_qgis.qgis_ui.layers.layer_files import name_of
from scasnet_qgis.qgis_ui.layers.layer_renderer import LayerRenderer
from scasnet_qgis.qgis_ui.processing.base import FeedbackProgress
from scasnet_qgis.qgis_ui.processing.parameters import read

_MAX_RIGHTS = 500  # characters; some services put their whole terms there
_WEB_TILES = re.compile(r"(?:^|[?&])type=xyz(?:&|$)")
_COLOR_RENDERER = "singlebandcolordata"  # the renderer of layers that come as colours


class WaitingProgress(FeedbackProgress):
    """Lets QGIS's main thread answer what its network asks of it: certificates, log-ins.

    A desktop program does so by itself. In qgis_process algorithms run in the main thread, and the
    network of the thread that renders would wait for it forever.
    """

    @property
    def cancelled(self) -> bool:
        if threading.current_thread() is threading.main_thread():
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return super().cancelled


def is_web_layer(layer: QgsRasterLayer) -> bool:
    """Whether a layer is no file that GDAL reads."""
    return bool(layer.providerType() != "gdal")


def read_web_layer(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    layer: QgsRasterLayer,
    extent: Extent | None,
    card: ModelCard,
) -> dict[str, Any]:
    """The image arguments of an ImageInput.

    ``extent`` is in the layer's coordinates. Call it in the main thread; raises InputError and
    SettingError.
    """
    _check_drawable(layer)
    if extent is None:
        text = translate("ScasNet", "The layer {name} is unbounded: set an extent.")
        raise SettingError(text, name=name_of(layer))
    extent = _covered_extent(extent, layer)
    options = read(algorithm, parameters, context, WebLayerOptions)
    wanted = _pixel_size(options.pixel_size, card)
    provider = layer.dataProvider()
    web = _WEB_TILES.search(provider.dataSourceUri()) is not None
    source = str(provider.dataSourceUri())
    place = rendered_grid(extent, layer.crs().toWkt(), wanted, _native_resolutions(layer), web)
    rendered = RenderedLayer(
        name=name_of(layer),
        provider=layer.providerType(),
        address=address_of(source),
        place=place,
        pixel_size=wanted,
        limit=options.max_requests,
        block_renderer=LayerRenderer(layer, name_of(layer)),
        look=_renderer_identity(layer),
        rights=_attribution(layer),
        digest=hashlib.sha256(plain_address(source).encode()).hexdigest(),
    )
    # As QGIS's own algorithms take a layer from the command line.
    source = f"{layer.providerType()}://{source}"
    return {"source": source, "layer": rendered, "web_layer": options, "extent": extent}


def _check_drawable(layer: QgsRasterLayer) -> None:
    if not layer.isValid() or layer.dataProvider() is None or layer.renderer() is None:
        text = translate("ScasNet", "Layer {name} cannot be rendered: check its service.")
        raise InputError(text, name=name_of(layer))


def _covered_extent(extent: Extent, layer: QgsRasterLayer) -> Extent:
    """The part of an extent that the layer says it covers, if it says so."""
    covered, wanted = layer.extent(), QgsRectangle(*extent)
    if covered.isEmpty():
        return extent
    common = wanted.intersect(covered)
    if common.isEmpty():
        text = translate(
            "ScasNet", "The extent is outside layer {name}: choose one that overlaps it."
        )
        raise InputError(text, name=name_of(layer))
    if covered.contains(wanted):
        return extent
    return (common.xMinimum(), common.yMinimum(), common.xMaximum(), common.yMaximum())


def _pixel_size(given: float | None, card: ModelCard) -> float:
    """Metres on the ground: as given, or in the middle of what the model was trained at."""
    if given is not None:
        if given > 0:
            return given
        raise SettingError(translate("ScasNet", "The pixel size must be greater than 0 m."))
    if card.resolution is None:
        text = translate(
            "ScasNet", "The model states no ground resolution: enter the pixel size for web layers."
        )
        raise SettingError(text)
    low, high = card.resolution
    return float((low * high) ** 0.5)


def _native_resolutions(layer: QgsRasterLayer) -> tuple[float, ...]:
    """The sizes in map units that a service's pixels have; none where it renders any."""
    return tuple(float(resolution) for resolution in layer.dataProvider().nativeResolutions())


def _renderer_identity(layer: QgsRasterLayer) -> dict[str, str]:
    """How values become colours, where the layer does not come as colours."""
    renderer = layer.renderer()
    if renderer.type() == _COLOR_RENDERER:
        return {}
    document = QDomDocument()
    root = document.createElement("look")
    renderer.writeXml(document, root)
    document.appendChild(root)
    text = str(document.toString(-1))
    return {"renderer": renderer.type(), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _attribution(layer: QgsRasterLayer) -> tuple[str, ...]:
    """Who is to be named, and under which terms, as the layer says; each once."""
    said = [layer.metadata().rights(), layer.metadata().licenses()]
    # A newer QGIS keeps both with the layer's server properties.
    properties = layer if hasattr(layer, "attribution") else layer.serverProperties()
    named = [properties.attribution(), properties.attributionUrl()]
    provider = layer.dataProvider().layerMetadata()
    said += [provider.rights(), provider.licenses()]
    texts = [*named, *(text for group in said for text in group)]
    whole = (without_secrets(" ".join(str(text).split())) for text in texts if text)
    cleaned = (text[:_MAX_RIGHTS] for text in whole)
    return tuple(dict.fromkeys(text for text in cleaned if text))
