"""Scaling of raster values to a model's input in 0-1, nodata filled, edges mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.messages import Message
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """The raw values of each band that become 0 and 1, the same for the whole raster.

    ``fill`` (0-1) is the value of each band in nodata pixels; ``rule`` tells the log where low and
    high come from.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    fill: tuple[float, ...]
    rule: Message

    def __call__(
        self,
        raw: NDArray[np.generic],
        valid: NDArray[np.bool_] | None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Scale raw values [bands, rows, cols]; values outside low to high are clipped.

        The result is written to ``out`` where it is given. Passes over the pixels that their type
        does not need are left out, as this runs beside the network, on the same processor.
        """
        low = np.asarray(self.low, dtype=np.float32)[:, None, None]
        span = np.asarray(self.high, dtype=np.float32)[:, None, None] - low
        factor = np.float32(1.0) / np.where(span > 0, span, np.float32(1.0))
        scaled = np.empty(raw.shape, dtype=np.float32) if out is None else out
        with np.errstate(over="ignore", invalid="ignore"):  # clipped below
            if low.any():
                np.subtract(raw, low, out=scaled, dtype=np.float32)
                scaled *= factor
            else:
                np.multiply(raw, factor, out=scaled, dtype=np.float32)
        if self._may_exceed(raw.dtype):
            np.clip(scaled, 0.0, 1.0, out=scaled)
        self._set_fill(scaled, raw, valid, self.fill)
        return scaled

    def filled(
        self, raw: NDArray[np.generic], valid: NDArray[np.bool_] | None, out: NDArray[np.generic]
    ) -> None:
        """Copy raw values [bands, rows, cols] to ``out``, for a model that scales them itself.

        A fill value outside the range of their type becomes the nearest value within it.
        """
        np.copyto(out, raw)
        values = [
            low + fill * (high - low) for low, high, fill in zip(self.low, self.high, self.fill)
        ]
        dtype: np.dtype[Any] = raw.dtype
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            values = [min(max(round(value), limits.min), limits.max) for value in values]
        self._set_fill(out, raw, valid, values)

    @staticmethod
    def _set_fill(
        out: NDArray[Any],
        raw: NDArray[np.generic],
        valid: NDArray[np.bool_] | None,
        values: Sequence[float],
    ) -> None:
        may_be_nan = np.issubdtype(raw.dtype, np.floating)
        for band, raw_band, value in zip(out, raw, values):
            if may_be_nan:
                band[~np.isfinite(raw_band)] = value  # NaN or infinity
            if valid is not None:
                band[~valid] = value

    def _may_exceed(self, dtype: np.dtype[Any]) -> bool:
        """Whether values of a type can lie outside low to high."""
        if not np.issubdtype(dtype, np.integer):
            return True
        limits = np.iinfo(dtype)
        return bool(limits.min < max(self.low) or limits.max > min(self.high))


def mirror_pad(pixels: NDArray[Any], source: Window, target: Window) -> NDArray[Any]:
    """Extend ``pixels`` [bands, rows, cols] of window ``source`` to ``target`` by mirroring.

    ``source`` lies inside ``target``. Where the raster is smaller than the margin, mirroring
    repeats.
    """
    if source == target:
        return pixels
    rows = _mirrored(target.row - source.row, target.row_end - source.row, source.rows)
    cols = _mirrored(target.col - source.col, target.col_end - source.col, source.cols)
    return np.take(np.take(pixels, rows, axis=1), cols, axis=2)


def _mirrored(start: int, end: int, length: int) -> NDArray[np.intp]:
    """Index of the pixel, out of ``length``, at each position from ``start`` to ``end``.

    As in numpy's ``pad`` with mode "symmetric", which older versions get wrong where the edges are
    mirrored several times.
    """
    positions = np.arange(start, end) % (2 * length)
    return np.minimum(positions, 2 * length - 1 - positions)


def window_slices(inner: Window, outer: Window) -> tuple[slice, slice, slice]:
    """Slices of window ``inner`` in an array [bands, rows, cols] of window ``outer``."""
    rows = slice(inner.row - outer.row, inner.row_end - outer.row)
    return slice(None), rows, slice(inner.col - outer.col, inner.col_end - outer.col)
