"""Small patches of a map merged into their neighbours, exactly, for maps of any size.

A patch is a 4-connected region of one class; pixels without data belong to none. In rounds, all at
a time, each patch below the limit takes the class of those larger neighbours with which it shares
the longest border (of equal ones the lower value), and becomes one with what has its class then. Of
two neighbours of equal size the one of the lower value counts as larger.

In each round the largest patch that changes joins one that does not, so the rounds come to an
end, and of two neighbours there one would still change if it were below the limit. So only patches
that touch nothing but pixels without data, or the raster's edge, stay below it.

The result does not depend on the windows, however far a patch reaches: see ``component_sweep``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.mapping.refinements.component_sweep import (
    ComponentSweep,
    RegionVisitor,
    rows_of_windows,
)
from scasnet_qgis.mapping.refinements.components import KINDS, Tally
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.outputs.overviews import close
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 512  # pixels, both ways; twice a block of the files
_NO_LONGER_SMALL = -1
_SIDES = ((0, 1), (2, 1), (1, 0), (1, 2))  # a pixel's neighbours in an array with a margin of 1
_OPTIONS = ("TILED=YES", "COMPRESS=DEFLATE", "ZLEVEL=1", "SPARSE_OK=TRUE", "BIGTIFF=IF_SAFER")


class _Layers:
    """A map that is only read; what changes in it and the sizes of small patches, both sparse.

    A size is above 0 in small patches only.
    """

    def __init__(self, labels: Path, folder: Path) -> None:
        self._labels = gdal.Open(str(labels))
        self.rows, self.cols = self._labels.RasterYSize, self._labels.RasterXSize
        self._changes = self._create(folder / "changes.tif", gdal.GDT_Byte)
        self._sizes = self._create(folder / "sizes.tif", gdal.GDT_Float64)
        self.small: dict[Window, int] = {}  # pixels in small patches, for windows that have any
        self.changed = False

    def _create(self, path: Path, kind: int) -> gdal.Dataset:
        driver = gdal.GetDriverByName("GTiff")
        return driver.Create(str(path), self.cols, self.rows, 1, kind, options=list(_OPTIONS))

    def labels(self, window: Window) -> NDArray[np.uint8]:
        """The map as it is now."""
        labels, changes = self.labels_before(window), _read(self._changes, window)
        return np.where(changes > 0, changes, labels)

    def labels_before(self, window: Window) -> NDArray[np.uint8]:
        return _read(self._labels, window)

    def sizes(self, window: Window) -> NDArray[np.float64]:
        return _read(self._sizes, window)

    def relabel(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Change the class where ``labels`` [rows, cols] has one."""
        _update(self._changes, window, labels)
        self.changed = True

    def resize(self, window: Window, sizes: NDArray[np.float64]) -> None:
        """Change the size where ``sizes`` [rows, cols] is not 0."""
        self.small.pop(window, None)
        small = int((_update(self._sizes, window, sizes) > 0).sum())
        if small:
            self.small[window] = small

    def around(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Labels and sizes with a margin of one pixel, 0 beyond the raster."""
        seen = window.grow(1).intersect(Window(0, 0, self.rows, self.cols))
        top, left = seen.row - window.row + 1, seen.col - window.col + 1
        margins = (
            (top, window.rows + 2 - top - seen.rows),
            (left, window.cols + 2 - left - seen.cols),
        )
        return np.pad(self.labels(seen), margins), np.pad(self.sizes(seen), margins)

    def close(self) -> None:
        self._labels = None
        for dataset in filter(None, (self._changes, self._sizes)):
            with suppress(RuntimeError):  # of a full disk, which no longer matters
                close(dataset)
        self._changes = self._sizes = None


def _read(dataset: gdal.Dataset, window: Window) -> NDArray[Any]:
    band = dataset.GetRasterBand(1)
    return band.ReadAsArray(window.col, window.row, window.cols, window.rows)


def _update(dataset: gdal.Dataset, window: Window, values: NDArray[Any]) -> NDArray[Any]:
    """Write what is not 0; the whole window comes back."""
    whole = _read(dataset, window)
    np.copyto(whole, values, where=values != 0)
    band = dataset.GetRasterBand(1)
    band.WriteArray(whole, window.col, window.row)
    band.FlushCache()  # or a full disk would show anywhere else
    return whole


class _MeasureRegions:
    """Finds the patches below the limit, and how large they are."""

    def __init__(self, layers: _Layers, smallest: MinArea) -> None:
        self._layers, self._smallest = layers, smallest

    def values(self, window: Window) -> NDArray[np.uint8] | None:
        return self._layers.labels(window)

    def count(self, window: Window, ids: NDArray[np.int32], count: int) -> Tally:
        weights = self._smallest.weights
        if weights is not None:
            weights = np.repeat(weights[window.row : window.row_end], window.cols)
        sizes = np.bincount(ids.ravel(), weights=weights, minlength=count + 1)[1:]
        return Tally.of(np.arange(1, count + 1) * KINDS, sizes)

    def decide(self, tally: Tally, count: int) -> NDArray[np.float64]:
        sizes = tally.amounts_of(0, count)
        return np.where(sizes < self._smallest.limit, sizes, 0).astype(np.float64)

    def apply(self, window: Window, decisions: NDArray[np.float64]) -> None:
        self._layers.resize(window, decisions)


class _RemeasureRegions(_MeasureRegions):
    """The same after a round: looks at what was small only, as the others just grow."""

    def values(self, window: Window) -> NDArray[np.uint8] | None:
        return _small_only(self._layers, window)

    def count(self, window: Window, ids: NDArray[np.int32], count: int) -> Tally:
        labels, sizes = self._layers.around(window)
        parts = [super().count(window, ids, count)]
        rows, cols = np.nonzero(ids)
        for down, right in _SIDES:
            at = rows + down, cols + right
            joined = (labels[at] == labels[rows + 1, cols + 1]) & (sizes[at] <= 0)
            found = np.unique(ids[rows[joined], cols[joined]]).astype(np.int64)
            parts.append(Tally.of(found * KINDS, np.full(len(found), self._smallest.limit)))
        return Tally.together(parts)

    def decide(self, tally: Tally, count: int) -> NDArray[np.float64]:
        sizes = super().decide(tally, count)
        sizes[sizes == 0] = _NO_LONGER_SMALL
        return sizes


class _PickNeighbour:
    """Gives each small patch the class of larger neighbours that it shares most border with."""

    def __init__(self, layers: _Layers) -> None:
        self._layers = layers

    def values(self, window: Window) -> NDArray[np.uint8] | None:
        return _small_only(self._layers, window)

    def count(self, window: Window, ids: NDArray[np.int32], count: int) -> Tally:
        """The length of the border in sides of pixels, by region and class."""
        labels, sizes = self._layers.around(window)
        rows, cols = np.nonzero(ids)
        label, size = labels[rows + 1, cols + 1], sizes[rows + 1, cols + 1]
        keys = ids[rows, cols].astype(np.int64) * KINDS
        parts = []
        for down, right in _SIDES:
            other, other_size = labels[rows + down, cols + right], sizes[rows + down, cols + right]
            larger = (other_size <= 0) | (other_size > size)
            larger |= (other_size == size) & (other < label)
            counts = larger & (other > 0) & (other != label)
            parts.append(Tally.of((keys + other)[counts]))
        return Tally.together(parts)

    def decide(self, tally: Tally, count: int) -> NDArray[np.uint8]:
        return tally.largest(count)

    def apply(self, window: Window, decisions: NDArray[np.uint8]) -> None:
        self._layers.relabel(window, decisions)


def _small_only(layers: _Layers, window: Window) -> NDArray[np.uint8] | None:
    """Labels of small patches; None for a window without any."""
    if window not in layers.small:
        return None
    return np.where(layers.sizes(window) > 0, layers.labels(window), 0).astype(np.uint8)


class Sieve:
    """Merges the patches of a map that are too small.

    ``folder`` takes what is needed on the way, about as large as the map. Memory is that of a few
    windows and of a few rows of the map. Methods raise RuntimeError (GDAL) or OSError where
    reading or writing fails.
    """

    def __init__(self, labels: Path, folder: Path, smallest: MinArea, window: int = WINDOW) -> None:
        self._layers = _Layers(labels, folder)
        self._folder, self._smallest = folder, smallest
        self._windows = rows_of_windows(self._layers.rows, self._layers.cols, window)

    @property
    def rows(self) -> int:
        """Of the map."""
        return self._layers.rows

    @property
    def small_pixels(self) -> int:
        """Pixels of patches that are below the limit."""
        return sum(self._layers.small.values())

    def run(self, progress: Progress) -> None:
        """Merge all patches that are below the limit and have a neighbour."""
        done = 0.4
        self._ask(_MeasureRegions(self._layers, self._smallest), Stage(progress, 0.0, done))
        while self._layers.small:
            middle, end = (1.0 + 2 * done) / 3, (2.0 + done) / 3  # nobody knows how many rounds
            self._layers.changed = False
            self._ask(_PickNeighbour(self._layers), Stage(progress, done, middle))
            if not self._layers.changed:
                break
            now = _RemeasureRegions(self._layers, self._smallest)
            self._ask(now, Stage(progress, middle, end))
            done = end
        progress.report(1.0)

    def _ask(self, visitor: RegionVisitor, progress: Progress) -> None:
        ComponentSweep(self._windows, visitor, self._folder).run(progress)

    def parts(self) -> Iterator[tuple[Window, NDArray[np.uint8], int]]:
        """The map as it is now, [rows, cols], and how many pixels have another class than before.

        For each window, from top left to bottom right.
        """
        for windows in self._windows:
            for window in windows:
                labels = self._layers.labels(window)
                changed = labels != self._layers.labels_before(window)
                yield window, labels, int(changed.sum())

    def close(self) -> None:
        """Let go of the files; may be called again."""
        self._layers.close()
