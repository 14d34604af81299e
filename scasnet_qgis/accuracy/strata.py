"""The classes of a map as strata: their pixels are counted, and some of them drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.accuracy.area_estimation import draw_ranks
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.labels import Labels
from scasnet_qgis.tiling.windows import Window, aligned_windows, count_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRIP_ROWS = 64  # rows whose pixels are taken to have one area, which may change with the latitude


@dataclass(frozen=True)
class Strata:
    """Pixels and ground area of each class of a map within ``area``, in ``Grid.area_unit``.

    ``counts`` [windows, classes] are the pixels window by window, in the order of the walk.
    """

    area: Window
    counts: NDArray[np.int64]
    areas: NDArray[np.float64]

    @property
    def pixels(self) -> list[int]:
        return [int(count) for count in self.counts.sum(axis=0)]


def count_strata(
    labels: Labels, grid: Grid, area: Window, classes: int, progress: Progress
) -> Strata:
    """Count the pixels of each class, window by window."""
    counts = np.zeros((count_windows(area), classes), dtype=np.int64)
    areas = np.zeros(classes, dtype=np.float64)
    for number, window in enumerate(aligned_windows(area)):
        progress.check()
        values = labels.read(window)
        for first in range(0, window.rows, _STRIP_ROWS):
            strip = values[first : first + _STRIP_ROWS]
            found = np.bincount(strip.ravel(), minlength=256)[:classes]
            counts[number] += found
            areas += found * grid.pixel_area(window.row + first + len(strip) / 2)
        progress.report((number + 1) / len(counts))
    return Strata(area, counts, areas)


def draw_pixels(
    labels: Labels,
    strata: Strata,
    points: Sequence[int],
    generator: np.random.Generator,
    progress: Progress,
) -> NDArray[np.int64]:
    """So many different pixels of each class, every set of them equally likely, in random order.

    Returns [points, 3]: row, column, class. The pixels of a class are numbered in the order of the
    walk; numbers are drawn, and only the windows that hold one of them are read again.
    """
    ranks = [draw_ranks(pixels, count, generator) for pixels, count in zip(strata.pixels, points)]
    ends = strata.counts.cumsum(axis=0)
    starts = ends - strata.counts
    found: list[NDArray[np.int64]] = []
    for number, window in enumerate(aligned_windows(strata.area)):
        progress.check()
        wanted = {}
        for index, drawn in enumerate(ranks):
            first, last = np.searchsorted(drawn, (starts[number, index], ends[number, index]))
            if last > first:
                wanted[index] = drawn[first:last] - starts[number, index]
        if wanted:
            flat = labels.read(window).ravel()
            found += [_positions(flat, window, index, numbers) for index, numbers in wanted.items()]
        progress.report((number + 1) / len(strata.counts))
    drawn_pixels = np.concatenate([np.zeros((0, 3), dtype=np.int64), *found])
    return np.asarray(generator.permutation(drawn_pixels))


def _positions(
    flat: NDArray[np.uint8], window: Window, index: int, ranks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Row, column and class of the pixels of a class with these numbers within a window."""
    positions = np.flatnonzero(flat == index)[ranks]
    rows, cols = divmod(positions, window.cols)
    rows, cols = rows + window.row, cols + window.col
    return np.stack((rows, cols, np.full_like(rows, index)), axis=1)
