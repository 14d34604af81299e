"""Overviews (reduced copies) inside a GeoTIFF, made while it is written.

GDAL's own function reads everything back, in strips as wide as the raster, so that its memory
grows with the width. Here GDAL only makes room for the levels; each is filled from what the one
before it just got, and only what could not wait for its neighbours is read back at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.scaling import window_slices
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Blocks of the first level that may wait until they are whole, and how much memory they may take;
# each further level gets half of that.
OPEN_BLOCKS = 64
OPEN_BYTES = 40 * 1024 * 1024

# Four pixels [4, ...], top left, top right, bottom left, bottom right -> one [...].
Reduce = Callable[["NDArray[np.generic]"], "NDArray[np.generic]"]


def most_frequent(quad: NDArray[np.generic]) -> NDArray[np.generic]:
    """The value that occurs most often; the earlier one where two occur equally often."""
    result = quad[0].copy()
    seen_once = (result != quad[1]) & (result != quad[2]) & (result != quad[3])
    positions = np.flatnonzero(seen_once)  # few pixels of a map
    first, second, third, fourth = quad.reshape(4, -1)[:, positions]
    others = np.where(third == fourth, third, first)
    result.ravel()[positions] = np.where((second == third) | (second == fourth), second, others)
    return result


def mean_of(nodata: float) -> Reduce:
    """The mean of the pixels that hold data."""

    def mean(quad: NDArray[np.generic]) -> NDArray[np.generic]:
        valid = quad != nodata
        if valid.all():
            return np.asarray((quad.sum(axis=0) / 4).astype(quad.dtype))
        count = valid.sum(axis=0)
        total = np.where(valid, quad, 0).sum(axis=0)
        means = np.where(count > 0, total / np.maximum(count, 1), nodata)
        return np.asarray(means.astype(quad.dtype))

    return mean


@dataclass
class _PartialBlock:
    """A block of which ``missing`` pixels are still to come; ``values`` [bands, rows, cols]."""

    values: NDArray[np.generic]
    missing: int


class _Level:
    """Which blocks of a reduced copy are done, and those that wait until they are whole."""

    def __init__(self, rows: int, cols: int, block: int, limit: int) -> None:
        """At most ``limit`` blocks wait; of more the one that got nothing for longest is let go."""
        self._whole, self._block, self._limit = Window(0, 0, rows, cols), block, limit
        self._done = np.zeros((-(-rows // block), -(-cols // block)), dtype=np.bool_)
        self._open: dict[tuple[int, int], _PartialBlock] = {}

    def gather(
        self, window: Window, values: NDArray[np.generic]
    ) -> Iterator[tuple[Window, NDArray[np.generic]]]:
        """Take pixels [bands, rows, cols], each only once, and give out blocks that are whole."""
        size = self._block
        for row in range(window.row // size, -(-window.row_end // size)):
            for col in range(window.col // size, -(-window.col_end // size)):
                target = self._window(row, col)
                block = self._open.pop((row, col), None)
                if block is None:
                    shape = (len(values), target.rows, target.cols)
                    block = _PartialBlock(np.empty(shape, values.dtype), target.rows * target.cols)
                part = target.intersect(window)
                block.values[window_slices(part, target)] = values[window_slices(part, window)]
                block.missing -= part.rows * part.cols
                if block.missing:
                    self._wait(row, col, block)
                else:
                    self._done[row, col] = True
                    yield target, block.values

    def _wait(self, row: int, col: int, block: _PartialBlock) -> None:
        self._open[row, col] = block
        if len(self._open) > self._limit:
            del self._open[next(iter(self._open))]

    def rest(self) -> list[Window]:
        """The blocks that never were whole; those that wait are let go."""
        self._open = {}
        return [self._window(int(row), int(col)) for row, col in np.argwhere(~self._done)]

    def _window(self, row: int, col: int) -> Window:
        size = self._block
        return Window(row * size, col * size, size, size).intersect(self._whole)


class Pyramid:
    """Overviews of an open GeoTIFF by factors 2, 4, 8 ..., until one fits into a block.

    Methods raise RuntimeError where GDAL cannot read or write. Must not be used when the dataset
    is closed.
    """

    def __init__(self, dataset: gdal.Dataset, block: int, reduce: Reduce) -> None:
        """``block`` is the side of the file's blocks in pixels, an even number."""
        self._dataset, self._reduce = dataset, reduce
        self._nodata = dataset.GetRasterBand(1).GetNoDataValue()
        self._bands = range(1, dataset.RasterCount + 1)
        size = max(dataset.RasterXSize, dataset.RasterYSize)
        factors = [2**power for power in range(1, 24) if size / 2 ** (power - 1) > block]
        if factors:
            dataset.FlushCache()  # on a full disk this raises, where the next line crashes
            dataset.BuildOverviews("NONE", factors)
        pixel = len(self._bands) * gdal.GetDataTypeSize(dataset.GetRasterBand(1).DataType) // 8
        limit = min(OPEN_BLOCKS, OPEN_BYTES // (pixel * block * block))
        self._levels = []
        for index in range(len(factors)):
            band = self._band(index + 1, 1)
            self._levels.append(_Level(band.YSize, band.XSize, block, limit >> index))

    def _band(self, depth: int, number: int) -> gdal.Band:
        """A band of the file (``depth`` 0) or of its ``depth``-th reduced copy."""
        band = self._dataset.GetRasterBand(number)
        return band.GetOverview(depth - 1) if depth else band

    def add(self, window: Window, values: NDArray[np.generic], depth: int = 0) -> None:
        """Take pixels [bands, rows, cols] of the file, all of them once and in any order.

        The window begins at an even row and column; where it ends at an odd one the file ends.
        """
        if depth == len(self._levels):
            return
        half = Window(
            window.row // 2, window.col // 2, (window.rows + 1) // 2, (window.cols + 1) // 2
        )
        reduced = self._reduce(_quads(values))
        for target, block in self._levels[depth].gather(half, reduced):
            for number in self._bands:
                self._write(depth + 1, number, target, block[number - 1])
            self.add(target, block, depth + 1)

    def finish(self, progress: Progress) -> None:
        """Fill what is left from what is in the file; raises Cancelled."""
        incomplete = [level.rest() for level in self._levels]
        total = max(sum(len(rest) for rest in incomplete) * len(self._bands), 1)
        done = 0
        for depth, rest in enumerate(incomplete, start=1):
            for number in self._bands:
                for target in rest:
                    progress.check()
                    reduced = self._reduce(_quads(self._read(depth - 1, number, target)[None]))
                    self._write(depth, number, target, reduced[0])
                    done += 1
                    progress.report(done / total)
        progress.report(1.0)

    def _read(self, depth: int, number: int, target: Window) -> NDArray[np.generic]:
        """The pixels under a window of the next reduced copy, [rows, cols]."""
        band = self._band(depth, number)
        fine = Window(2 * target.row, 2 * target.col, 2 * target.rows, 2 * target.cols)
        fine = fine.intersect(Window(0, 0, band.YSize, band.XSize))
        pixels = np.asarray(band.ReadAsArray(fine.col, fine.row, fine.cols, fine.rows))
        band.FlushCache()  # or what nobody asks for again would fill GDAL's cache
        return pixels

    def _write(self, depth: int, number: int, target: Window, values: NDArray[np.generic]) -> None:
        if (values == self._nodata).all():
            return  # GDAL fills what is missing when it closes the file
        band = self._band(depth, number)
        band.WriteArray(values, target.col, target.row)
        band.FlushCache()  # or a full disk would show anywhere else


def _quads(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """[bands, rows, cols] -> [4, bands, rows / 2, cols / 2]; odd ends are doubled."""
    rows, cols = values.shape[1:]
    if rows % 2 or cols % 2:
        values = np.pad(values, ((0, 0), (0, rows % 2), (0, cols % 2)), mode="edge")
    return np.stack([values[:, row::2, col::2] for row in (0, 1) for col in (0, 1)])


def close(dataset: gdal.Dataset) -> None:
    """Close a dataset; raises RuntimeError where its last bytes cannot be written.

    Letting go of it does the same, but Python drops what is raised then, and a full disk with it.
    It must not be used afterwards, and neither must its bands.
    """
    try:
        if hasattr(dataset, "Close"):  # from GDAL 3.8 on
            # GDAL frees it even where this raises, but then leaves it to the object to free it too.
            dataset.thisown = False
            dataset.Close()
        else:
            gdal.Dataset.__swig_destroy__(dataset)
    finally:
        dataset.this = None
