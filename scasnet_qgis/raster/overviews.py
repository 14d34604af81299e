"""Reduced copies inside a GeoTIFF, made window by window.

GDAL's own function works on strips as wide as the raster, so that its memory grows with the width.
Here GDAL only makes room for the levels; each is filled from the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 1024  # pixels of the reduced copy, both ways; a multiple of its blocks

# Four pixels [4, rows, cols], top left, top right, bottom left, bottom right -> one.
Reduce = Callable[["NDArray[np.generic]"], "NDArray[np.generic]"]


def most_frequent(four: NDArray[np.generic]) -> NDArray[np.generic]:
    """The value that occurs most often; the earlier one where two occur equally often."""
    first, second, third, fourth = four
    result = first.copy()
    seen_once = (first != second) & (first != third) & (first != fourth)
    pair = seen_once & ((second == third) | (second == fourth))
    result[pair] = second[pair]
    pair = seen_once & ~pair & (third == fourth)
    result[pair] = third[pair]
    return result


def mean_of(nodata: float) -> Reduce:
    """The mean of the pixels that hold data."""

    def mean(four: NDArray[np.generic]) -> NDArray[np.generic]:
        valid = four != nodata
        count = valid.sum(axis=0)
        total = np.where(valid, four, 0).sum(axis=0)
        means = np.where(count > 0, total / np.maximum(count, 1), nodata)
        return np.asarray(means.astype(four.dtype))

    return mean


def fill_overviews(path: Path, smallest: int, reduce: Reduce, progress: Progress) -> None:
    """Add reduced copies, each half as large, until one fits into ``smallest`` pixels.

    Raises RuntimeError where GDAL cannot write, Cancelled where the user wants to stop.
    """
    dataset = gdal.Open(str(path), gdal.GA_Update)
    size = max(dataset.RasterXSize, dataset.RasterYSize)
    factors = [2**power for power in range(1, 24) if size / 2 ** (power - 1) > smallest]
    if factors:
        dataset.BuildOverviews("NONE", factors)
    bands = range(1, dataset.RasterCount + 1)
    for number in bands:
        band = dataset.GetRasterBand(number)
        levels = [band, *(band.GetOverview(index) for index in range(band.GetOverviewCount()))]
        for index, (fine, coarse) in enumerate(zip(levels, levels[1:])):
            # Each level has a quarter of the pixels of the one before.
            done = (number - 0.25**index) / len(bands)
            share = 0.75 * 0.25**index / len(bands)
            _fill(fine, coarse, reduce, progress, done, share)
    dataset.FlushCache()
    close(dataset)
    progress.report(1.0)


def _fill(
    fine: gdal.Band,
    coarse: gdal.Band,
    reduce: Reduce,
    progress: Progress,
    done: float,
    share: float,
) -> None:
    windows = list(_windows(coarse.YSize, coarse.XSize))
    for index, window in enumerate(windows):
        progress.check()
        high, wide = min(2 * window.rows, fine.YSize - 2 * window.row), 2 * window.cols
        wide = min(wide, fine.XSize - 2 * window.col)
        values = fine.ReadAsArray(2 * window.col, 2 * window.row, wide, high)
        values = np.pad(values, ((0, high % 2), (0, wide % 2)), mode="edge")
        four = np.stack([values[row::2, col::2] for row in (0, 1) for col in (0, 1)])
        coarse.WriteArray(reduce(four), window.col, window.row)
        progress.report(done + share * (index + 1) / len(windows))
    coarse.FlushCache()


def _windows(rows: int, cols: int) -> Iterator[Window]:
    whole = Window(0, 0, rows, cols)
    for row in range(0, rows, WINDOW):
        for col in range(0, cols, WINDOW):
            yield Window(row, col, WINDOW, WINDOW).intersect(whole)


def close(dataset: gdal.Dataset) -> None:
    """Close a dataset; raises RuntimeError where its last bytes cannot be written.

    Letting go of it does the same, but Python drops what is raised then, and a full disk with it.
    """
    if hasattr(dataset, "Close"):  # from GDAL 3.8 on
        dataset.Close()
    else:
        gdal.Dataset.__swig_destroy__(dataset)
