"""Resamples a raster to another pixel size while it is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.images.source import Image
from scasnet_qgis.tiling.resampling import AxisResampling, Taps, taps
from scasnet_qgis.tiling.scaling import window_slices
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIECE_BYTES = 4 * 1024 * 1024  # of the raster's own pixels that are read at a time


class ResampledReader:
    """What the model sees of a raster: pixels that cover as much ground as it was trained for.

    Each is the mean of the pixels that it covers or, where it is smaller than they are, lies on a
    cubic curve through them; those without data do not count, and where there are only such ones,
    it holds none. The values keep their type. They are the same whatever window they are read in,
    and overviews are not used. May be used from several threads at a time.
    """

    def __init__(self, reader: Image, down: AxisResampling, across: AxisResampling) -> None:
        self._reader, self._down, self._across = reader, down, across
        self._lock = threading.Lock()
        self.block_rows = max(round(reader.block_rows / down.factor), 1)

    def carried(self, overlap: int) -> int:
        """Bytes that a column of rows read ahead takes, see tiling/overlap_cache.py."""
        pixel = len(self._reader.bands) * self._reader.dtype.itemsize
        return pixel * (overlap + self.block_rows)

    def cache_bytes_for(self, tile: tuple[int, int]) -> int:
        """Bytes of GDAL's cache for tiles (rows, cols) of what the model sees."""
        rows, cols = self._piece_size(tile[1])
        source_tile = ceil(rows * self._down.factor), ceil(max(cols, tile[1]) * self._across.factor)
        return self._reader.cache_bytes_for(source_tile)

    def may_hold_data(self, window: Window) -> bool:
        """As of the raster, for a window of its own pixels."""
        with self._lock:
            return self._reader.may_hold_data(window)

    def holds_data(self, window: Window) -> NDArray[np.bool_] | None:
        """Which of the raster's own pixels in a window hold data; None: all of them."""
        if not self._reader.marks_gaps:
            return None
        with self._lock:
            return self._reader.read(window)[1]

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Values [bands, rows, cols] of what the model sees, and where they hold data."""
        shape = (window.rows, window.cols)
        pixels = np.empty((len(self._reader.bands), *shape), dtype=self._reader.dtype)
        valid = np.ones(shape, dtype=np.bool_)
        for piece in self._pieces(window):
            at = window_slices(piece, window)
            pixels[at], has_data = self._resampled(piece)
            valid[at[1:]] = True if has_data is None else has_data
        return pixels, None if valid.all() else valid

    def _pieces(self, window: Window) -> Iterator[Window]:
        rows, cols = self._piece_size(window.cols)
        for row in range(window.row, window.row_end, rows):
            for col in range(window.col, window.col_end, cols):
                yield Window(row, col, rows, cols).intersect(window)

    def _piece_size(self, cols: int) -> tuple[int, int]:
        """Rows and columns that are resampled in one go, of a window of so many columns."""
        down, across = max(self._down.factor, 1.0), max(self._across.factor, 1.0)
        pixel = len(self._reader.bands) * self._reader.dtype.itemsize * down * across
        cols = min(cols, max(int(_PIECE_BYTES / pixel), 1))
        return max(int(_PIECE_BYTES / (pixel * cols)), 1), cols

    def _resampled(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        down, across = self._taps(window, cubic=True)
        row, col = int(down[0].min()), int(across[0].min())
        source = Window(row, col, int(down[0].max()) + 1 - row, int(across[0].max()) + 1 - col)
        with self._lock:
            raw, valid = self._reader.read(source)
        cubic_taps = (down[0] - row, down[1]), (across[0] - col, across[1])
        down, across = self._taps(window, cubic=False)
        positive_taps = (down[0] - row, down[1]), (across[0] - col, across[1])
        means = _valid_means(raw, _missing_values(raw, valid), cubic_taps, positive_taps)
        dtype: np.dtype[Any] = raw.dtype
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            np.clip(np.rint(means, out=means), limits.min, limits.max, out=means)
        has_data = None if valid is None else _weighted_mean(valid[None], *positive_taps)[0] > 0
        return means.astype(dtype, copy=False), has_data

    def _taps(self, window: Window, *, cubic: bool) -> tuple[Taps, Taps]:
        down, across = self._down, self._across
        return (
            taps(window.row, window.rows, down.target, down.source, cubic=cubic),
            taps(window.col, window.cols, across.target, across.source, cubic=cubic),
        )


def _missing_values(raw: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Where values do not count, [bands or 1, rows, cols]; None where all do."""
    gaps = None if valid is None else ~valid[None]
    if np.issubdtype(raw.dtype, np.floating):
        odd = ~np.isfinite(raw)
        if odd.any():
            gaps = odd if gaps is None else odd | gaps
    return gaps


def _valid_means(
    raw: NDArray[Any],
    gaps: NDArray[np.bool_] | None,
    cubic_taps: tuple[Taps, Taps],
    positive_taps: tuple[Taps, Taps],
) -> NDArray[Any]:
    """Weighted means without the gaps; where there is nothing else, 0 or, for floats, NaN.

    Weights that are all positive, the ``positive_taps`` ones, are used beside gaps.
    """
    if gaps is None:
        return _weighted_mean(raw, *cubic_taps)
    filled = np.where(gaps, raw.dtype.type(0), raw)
    means, counted = _weighted_mean(filled, *positive_taps), _weighted_mean(~gaps, *positive_taps)
    np.divide(means, counted, out=means, where=counted > 0)
    if raw.dtype.kind == "f":
        np.copyto(means, np.nan, where=counted == 0)
    # Elsewhere a gap in the window must make no difference, not even by rounding.
    down, across = ((indices, np.abs(weights)) for indices, weights in cubic_taps)
    beside = np.broadcast_to(_weighted_mean(gaps, down, across) > 0, means.shape)
    np.copyto(means, _weighted_mean(filled, *cubic_taps), where=~beside)
    return means


def _weighted_mean(values: NDArray[Any], down: Taps, across: Taps) -> NDArray[Any]:
    """Weighted sums [planes, rows, cols] along both axes, whose weights add up to 1."""
    return _weighted(_weighted(values, 1, down), 2, across)


def _weighted(values: NDArray[Any], axis: int, axis_taps: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Tap by tap, so that a pixel's sum has one order whatever is computed with it."""
    small = values.dtype.itemsize <= 2 or values.dtype == np.float32
    sum_dtype = np.float32 if small else np.float64
    total: NDArray[Any] | None = None
    for indices, weights in zip(*axis_taps):
        weight = weights if axis == 2 else weights[:, None]
        part = np.multiply(np.take(values, indices, axis=axis), weight, dtype=sum_dtype)
        total = part if total is None else np.add(total, part, out=total)
    if total is None:
        raise ValueError("pixels that are made of nothing")
    return total
