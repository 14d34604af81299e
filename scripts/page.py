"""The pieces a printed page is put together from: text, boxes, maps and a scale bar.

All measures are millimetres from the page's upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsFillSymbol,
    QgsLayoutExporter,
    QgsLayoutItemLabel,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutItemShape,
    QgsLayoutMeasurement,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsMapLayer,
    QgsPrintLayout,
    QgsProject,
    QgsTextFormat,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QFont

FONT = "Open Sans"
INK = "#26323b"
FAINT_INK = "#6b7780"
PAPER = "#fbfaf6"


@dataclass(frozen=True)
class Box:
    """A rectangle on the page."""

    left: float
    top: float
    width: float
    height: float


class Page:
    """One page of a print layout that is drawn from top to bottom."""

    def __init__(self, width: float, height: float) -> None:
        self._layout = QgsPrintLayout(QgsProject.instance())
        self._layout.initializeDefaults()
        sheet = self._layout.pageCollection().page(0)
        sheet.setPageSize(QgsLayoutSize(width, height))
        paper = QgsFillSymbol.createSimple({"color": PAPER, "outline_style": "no"})
        sheet.setPageStyleSymbol(paper)

    def add_text(
        self,
        text: str,
        box: Box,
        points: float,
        color: str = INK,
        weight: QFont.Weight = QFont.Weight.Normal,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        """Write one line of text, vertically in the middle of its box."""
        label = QgsLayoutItemLabel(self._layout)
        label.setText(text)
        _set_font(label, points, color, weight)
        label.setMargin(0)
        label.setHAlign(align)
        label.setVAlign(Qt.AlignmentFlag.AlignVCenter)
        self._place(label, box)

    def add_box(self, box: Box, color: str, corner_radius: float = 0) -> None:
        """Draw a filled rectangle without an outline."""
        shape = QgsLayoutItemShape(self._layout)
        shape.setShapeType(QgsLayoutItemShape.Shape.Rectangle)
        shape.setCornerRadius(QgsLayoutMeasurement(corner_radius))
        shape.setSymbol(QgsFillSymbol.createSimple({"color": color, "outline_style": "no"}))
        self._place(shape, box)

    def add_map(self, layer: QgsMapLayer, box: Box) -> QgsLayoutItemMap:
        """Draw one layer, all of it, in a thin frame."""
        frame = QgsLayoutItemMap(self._layout)
        frame.setLayers([layer])
        frame.setKeepLayerSet(True)
        frame.setFrameEnabled(True)
        frame.setFrameStrokeColor(QColor(INK))
        frame.setFrameStrokeWidth(QgsLayoutMeasurement(0.2))
        self._place(frame, box)
        frame.setExtent(layer.extent())
        return frame

    def add_scale_bar(self, frame: QgsLayoutItemMap, left: float, top: float) -> None:
        """Draw a scale bar in metres for a map whose units are metres."""
        bar = QgsLayoutItemScaleBar(self._layout)
        bar.setStyle("Line Ticks Up")
        bar.setLinkedMap(frame)
        bar.applyDefaultSize(QgsUnitTypes.DistanceUnit.DistanceMeters)
        bar.setTextFormat(_make_text_format(7.5, FAINT_INK, QFont.Weight.Normal))
        self._layout.addLayoutItem(bar)
        bar.attemptMove(QgsLayoutPoint(left, top))

    def save(self, target: Path, dots_per_inch: int) -> None:
        """Write the page as an image file."""
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = dots_per_inch
        # Both would place the picture on the ground, which PNG cannot do.
        settings.generateWorldFile = False
        settings.exportMetadata = False
        result = QgsLayoutExporter(self._layout).exportToImage(str(target), settings)
        if result != QgsLayoutExporter.ExportResult.Success:
            raise OSError(f"The map could not be drawn to {target}.")

    def _place(
        self, item: QgsLayoutItemLabel | QgsLayoutItemShape | QgsLayoutItemMap, box: Box
    ) -> None:
        self._layout.addLayoutItem(item)
        item.attemptMove(QgsLayoutPoint(box.left, box.top))
        item.attemptResize(QgsLayoutSize(box.width, box.height))


def _set_font(label: QgsLayoutItemLabel, points: float, color: str, weight: QFont.Weight) -> None:
    look = _make_text_format(points, color, weight)
    if hasattr(label, "setTextFormat"):
        label.setTextFormat(look)
        return
    # QGIS 3.22 knows text formats only for other items.
    font = look.font()
    font.setPointSizeF(points)
    label.setFont(font)
    label.setFontColor(look.color())


def _make_text_format(points: float, color: str, weight: QFont.Weight) -> QgsTextFormat:
    font = QFont(FONT)
    font.setWeight(weight)
    look = QgsTextFormat()
    look.setFont(font)
    look.setSize(points)
    look.setSizeUnit(QgsUnitTypes.RenderUnit.RenderPoints)
    look.setColor(QColor(color))
    return look
