"""The paletted style of a map: the name and colour of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from qgis.core import (
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
)
from qgis.PyQt.QtGui import QColor

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelClass


def style(layer: QgsRasterLayer, classes: Sequence[ModelClass]) -> None:
    """Give a map the colours and names of its classes; class k has value k + 1."""
    entries = [
        QgsPalettedRasterRenderer.Class(value, QColor(entry.color), entry.name)
        for value, entry in enumerate(classes, start=1)
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, entries))


def write_qml(raster: Path, classes: Sequence[ModelClass]) -> Path:
    """Write the style beside a map, where QGIS finds it on loading."""
    target = raster.with_suffix(".qml")
    layer = QgsRasterLayer(str(raster), raster.stem)
    if not layer.isValid():
        raise OutputError(
            translate("ScasNet", "The map {name} cannot be opened to write its style."),
            name=raster.name,
        )
    style(layer, classes)
    message, saved = layer.saveNamedStyle(str(target))
    if not saved:
        raise OutputError(
            translate("ScasNet", "The style {name} cannot be written."), message, name=target.name
        )
    return target


class LayerStyler(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer that Processing adds to the project; its own loader ignores the QML."""

    _kept: ClassVar[
        list[LayerStyler]
    ] = []  # QGIS holds no reference, and forgets what Python forgets

    @classmethod
    def of(cls, classes: Sequence[ModelClass]) -> LayerStyler:
        styler = cls()
        styler._classes = list(classes)
        cls._kept.append(styler)
        return styler

    def __init__(self) -> None:
        super().__init__()
        self._classes: list[ModelClass] = []

    def postProcessLayer(
        self,
        layer: QgsRasterLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        if isinstance(layer, QgsRasterLayer):
            style(layer, self._classes)
            layer.triggerRepaint()
        if self in self._kept:
            self._kept.remove(self)
