"""Draws an image and its land-cover map side by side, with a legend, as a QGIS print layout.

Usage: demo_map.py IMAGE MAP RUN_JSON PICTURE, where RUN_JSON holds the results of scasnet:segment.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import FAINT_INK, Box, Page
from qgis.core import (
    QgsApplication,
    QgsBilinearRasterResampler,
    QgsProject,
    QgsRasterLayer,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QFont

TITLE = "Land cover from a satellite image"
SUBTITLE = "Left the image, right what the ScasNet that comes with the plugin finds in it"
CREDIT = "Image: Mohammed Bin Rashid Space Centre and Humans in the Loop, CC0"

PAGE_WIDTH = 297.0
MARGIN = 12.0
GAP = 7.0
MAP_TOP = 37.0
MAX_MAP_HEIGHT = 165.0
SCALE_BAR_HEIGHT = 12.0
BAR_HEIGHT = 6.0
LEGEND_HEIGHT = 26.0
FOOTER_HEIGHT = 15.0
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class ClassShare:
    """One class of the map and the share of the classified pixels that it covers."""

    name: str
    color: str
    share: float


def read_shares(results: dict[str, Any]) -> list[ClassShare]:
    """Return the classes of a run and their shares, in the model's order."""
    statistics = json.loads(results["CLASS_STATISTICS"])
    total = sum(entry["pixels"] for entry in statistics) or 1
    return [
        ClassShare(entry["name"], entry["color"], entry["pixels"] / total) for entry in statistics
    ]


def draw(image: QgsRasterLayer, cover: QgsRasterLayer, results: dict[str, Any]) -> Page:
    """Return the page that shows an image, its map, their legend and what the run used."""
    width, height = fit_map(image)
    with_scale = has_metres(cover)
    legend_top = MAP_TOP + height + (SCALE_BAR_HEIGHT if with_scale else 0) + 6
    page_height = legend_top + LEGEND_HEIGHT + FOOTER_HEIGHT
    page = Page(PAGE_WIDTH, page_height)
    _add_heading(page)
    half = (PAGE_WIDTH - 2 * MARGIN - GAP) / 2
    for column, (layer, name) in enumerate(((image, "Image"), (cover, "Land cover"))):
        left = MARGIN + column * (half + GAP) + (half - width) / 2
        page.add_text(name, Box(left, MAP_TOP - 7, width, 6), 9.5, weight=QFont.Weight.DemiBold)
        frame = page.add_map(layer, Box(left, MAP_TOP, width, height))
        if column == 0 and with_scale:
            page.add_scale_bar(frame, left - 1, MAP_TOP + height + 1)
    _add_legend(page, read_shares(results), legend_top)
    _add_footer(page, results, page_height - FOOTER_HEIGHT)
    return page


def fit_map(image: QgsRasterLayer) -> tuple[float, float]:
    """Return the largest width and height, in mm, that an image may have on the page."""
    width = (PAGE_WIDTH - 2 * MARGIN - GAP) / 2
    height = width * image.extent().height() / image.extent().width()
    shrink = min(1.0, MAX_MAP_HEIGHT / height)
    return width * shrink, height * shrink


def has_metres(layer: QgsRasterLayer) -> bool:
    """Tell whether lengths on this layer can be stated in metres."""
    units = layer.crs().mapUnits()
    return layer.crs().isValid() and units == QgsUnitTypes.DistanceUnit.DistanceMeters


def describe_run(results: dict[str, Any]) -> str:
    """Return one line about the model and the speed of a run."""
    return (
        f"{results['MODEL_NAME']}  ·  {results['PROVIDER']}  ·  {float(results['SECONDS']):.1f} s"
        f"  ·  {float(results['MEGAPIXELS_PER_SECOND']):.2f} megapixels per second"
    )


def _add_heading(page: Page) -> None:
    width = PAGE_WIDTH - 2 * MARGIN
    page.add_text(TITLE, Box(MARGIN, 9, width, 10), 20, weight=QFont.Weight.Bold)
    page.add_text(SUBTITLE, Box(MARGIN, 19, width, 6), 10.5, FAINT_INK)


def _add_legend(page: Page, shares: list[ClassShare], top: float) -> None:
    """Draw a bar of all shares, and below it each class with its colour, name and share."""
    full = PAGE_WIDTH - 2 * MARGIN
    left = MARGIN
    for entry in shares:
        page.add_box(Box(left, top, full * entry.share, BAR_HEIGHT), entry.color)
        left += full * entry.share
    column = full / max(len(shares), 1)
    below = top + BAR_HEIGHT + 4.5
    for number, entry in enumerate(shares):
        left = MARGIN + number * column
        page.add_box(Box(left, below, 8, 8), entry.color, corner_radius=1)
        text_width = column - 11
        name = Box(left + 10.5, below - 0.6, text_width, 5)
        page.add_text(entry.name, name, 9.5, weight=QFont.Weight.DemiBold)
        page.add_text(
            f"{entry.share:.1%}", Box(left + 10.5, below + 4, text_width, 5), 9, FAINT_INK
        )


def _add_footer(page: Page, results: dict[str, Any], top: float) -> None:
    width = PAGE_WIDTH - 2 * MARGIN
    page.add_box(Box(MARGIN, top, width, 0.2), "#c9ccc9")
    page.add_text(describe_run(results), Box(MARGIN, top + 3.5, width, 5), 7.5, FAINT_INK)
    right = Qt.AlignmentFlag.AlignRight
    page.add_text(CREDIT, Box(MARGIN, top + 3.5, width, 5), 7.5, FAINT_INK, align=right)


def open_layer(path: str, name: str) -> QgsRasterLayer:
    """Open a raster as QGIS would, with the style file beside it."""
    layer = QgsRasterLayer(path, name)
    if not layer.isValid():
        raise OSError(f"{path} cannot be opened as a raster.")
    return layer


def smooth(layer: QgsRasterLayer) -> None:
    """Let an image be drawn smaller or larger without losing or tearing its lines."""
    resampling = layer.resampleFilter()
    resampling.setZoomedInResampler(QgsBilinearRasterResampler())
    resampling.setZoomedOutResampler(QgsBilinearRasterResampler())
    resampling.setMaxOversampling(3)


def render(image_path: str, map_path: str, run_path: str, picture_path: str) -> None:
    """Read the files of a run and write the picture."""
    image = open_layer(image_path, "Image")
    smooth(image)
    cover = open_layer(map_path, "Land cover")
    project = QgsProject.instance()
    project.setCrs(cover.crs())
    project.addMapLayers([image, cover])
    results = json.loads(Path(run_path).read_text("utf-8"))["results"]
    draw(image, cover, results).save(Path(picture_path), DOTS_PER_INCH)
    project.clear()


def main() -> int:
    """Start QGIS's library, draw, and stop it."""
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    application = QgsApplication([], False)
    application.initQgis()
    try:
        render(*sys.argv[1:])
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        application.exitQgis()
    return 0


if __name__ == "__main__":
    sys.exit(main())
