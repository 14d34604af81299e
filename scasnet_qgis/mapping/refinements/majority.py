"""Edges are smoothed: each pixel gets the class that is most frequent around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.options import Number, option
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.refinements.refinement import PixelCount, Refinement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scasnet_qgis.images.grid import Grid
    from scasnet_qgis.mapping.refinements.refinement import RefinedWindow

LARGEST = 99  # pixels; a window of that size is far beyond what edges need
_BLOCK = 512  # pixels, both ways, that are filtered at a time; twice a block of the files


def odd_window(window: int) -> int:
    """The window itself; raises SettingError where it has no pixel in its middle."""
    if window and window % 2 == 0:
        raise SettingError(
            translate(
                "ScasNet",
                "The window of the majority filter ({window} pixels) must be odd: choose 3, 5, 7 "
                "and so on, or 0 for none.",
            ),
            window=window,
        )
    return window


@dataclass(frozen=True)
class Majority(Refinement):
    """``majority`` is the side of a square window in pixels, odd; 0 leaves edges as they are."""

    majority: int = option(
        0,
        "MAJORITY",
        translate("ScasNet", "Smooth edges: majority filter, window in pixels"),
        translate(
            "ScasNet",
            "Each pixel gets the class that is most frequent in a square window around it, with "
            "this side in pixels (odd: 3, 5, 7 ...). Of equally frequent classes the pixel keeps "
            "its own if it is among them, else it gets the one with the smallest value. Pixels "
            "without a class are not changed and do not count. Applied after the minimum "
            "confidence and before the minimum mapping unit. 0: off.",
        ),
        Number(0, LARGEST, integer=True),
        advanced=True,
        differs=translate("ScasNet", "the window of the majority filter differs"),
        parse=odd_window,
    )

    counted = PixelCount(
        "SMOOTHED_PIXELS",
        "smoothed_pixels",
        translate("ScasNet", "Pixels changed by majority filter"),
    )

    @property
    def active(self) -> bool:
        return self.majority > 1

    def on(self, grid: Grid) -> Majority:
        odd_window(self.majority)
        return self

    @property
    def sentence(self) -> Message:
        text = translate(
            "ScasNet", "Edges are smoothed by a majority filter of {window} x {window} pixels."
        )
        return message(text, window=self.majority)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {}

    def windows(self, labels: Path, folder: Path, progress: Progress) -> Iterator[RefinedWindow]:
        """Each window is read with a halo of half the filter's, so that no window shows."""
        from osgeo import gdal

        from scasnet_qgis.mapping.refinements.component_sweep import rows_of_windows
        from scasnet_qgis.tiling.windows import Window

        radius = self.majority // 2
        dataset = gdal.Open(str(labels))
        band = dataset.GetRasterBand(1)
        rows_of = rows_of_windows(dataset.RasterYSize, dataset.RasterXSize, _BLOCK)
        whole = Window(0, 0, dataset.RasterYSize, dataset.RasterXSize)
        for number, windows in enumerate(rows_of, start=1):
            for window in windows:
                seen = window.grow(radius).intersect(whole)
                around = band.ReadAsArray(seen.col, seen.row, seen.cols, seen.rows)
                top, left = window.row - seen.row, window.col - seen.col
                part = (slice(top, top + window.rows), slice(left, left + window.cols))
                found = majority(around, radius)[part]
                yield window, found, int((found != around[part]).sum())
            progress.report(number / len(rows_of))

    def outcome(self, changed: int) -> Message | None:
        text = translate("ScasNet", "Majority filter: {changed:,} pixels changed their class.")
        return message(text, changed=changed)


def majority(labels: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Labels [rows, cols] after a majority filter; 0 stays and has no vote.

    The window reaches ``radius`` pixels to all sides, and nothing beyond the array votes. Of
    equally frequent values a pixel's own wins, else the smallest.
    """
    import numpy as np

    result, most = labels.copy(), np.zeros(labels.shape, dtype=np.int32)
    own = np.zeros(labels.shape, dtype=np.int32)
    for value in np.unique(labels[labels > 0]):
        is_value = labels == value
        votes = _sums(_sums(is_value, radius).T, radius).T
        np.copyto(own, votes, where=is_value)
        more = votes > most
        np.copyto(most, votes, where=more)
        np.copyto(result, value, where=more)
    np.copyto(result, labels, where=(own == most) | (labels == 0))
    return result


def _sums(values: NDArray[Any], radius: int) -> NDArray[np.int32]:
    """Sums of ``2 * radius + 1`` rows around each, fewer at the ends."""
    import numpy as np

    count = len(values)
    running = np.zeros((count + 1, values.shape[1]), dtype=np.int32)
    np.cumsum(values, axis=0, dtype=np.int32, out=running[1:])
    rows = np.arange(count)
    return running[np.minimum(rows + radius + 1, count)] - running[np.maximum(rows - radius, 0)]
