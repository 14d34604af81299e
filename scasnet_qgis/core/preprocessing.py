"""From a raster's values to the 0-1 input of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.messages import Message
from scasnet_qgis.core.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """Band by band, the raw values that become 0 and 1, the same for the whole raster.

    ``fill`` (0-1) stands where a pixel holds no data; ``rule`` says for the log where low and
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

        ``out`` takes the result where it is given. No pass over the pixels is made that their type
        does not need: this runs beside the network, on the same processor.
        """
        low = np.asarray(self.low, dtype=np.float32)[:, None, None]
        span = np.asarray(self.high, dtype=np.float32)[:, None, None] - low
        factor = np.float32(1.0) / np.where(span > 0, span, np.float32(1.0))
        scaled = np.empty(raw.shape, dtype=np.float32) if out is None else out
        with np.errstate(over="ignore", invalid="ignore"):  # what is beyond them is clipped
            if low.any():
                np.subtract(raw, low, out=scaled, dtype=np.float32)
                scaled *= factor
            else:
                np.multiply(raw, factor, out=scaled, dtype=np.float32)
        if self._may_leave(raw.dtype):
            np.clip(scaled, 0.0, 1.0, out=scaled)
        self._fill(scaled, raw, valid, self.fill)
        return scaled

    def filled(
        self, raw: NDArray[np.generic], valid: NDArray[np.bool_] | None, out: NDArray[np.generic]
    ) -> None:
        """Copy raw values [bands, rows, cols] to ``out``, for a model that scales them itself.

        A fill beyond what their type can hold becomes the nearest value that it can.
        """
        np.copyto(out, raw)
        values = [
            low + fill * (high - low) for low, high, fill in zip(self.low, self.high, self.fill)
        ]
        kind: np.dtype[Any] = raw.dtype
        if np.issubdtype(kind, np.integer):
            limits = np.iinfo(kind)
            values = [min(max(round(value), limits.min), limits.max) for value in values]
        self._fill(out, raw, valid, values)

    @staticmethod
    def _fill(
        out: NDArray[Any],
        raw: NDArray[np.generic],
        valid: NDArray[np.bool_] | None,
        values: Sequence[float],
    ) -> None:
        may_be_none = np.issubdtype(raw.dtype, np.floating)
        for plane, before, value in zip(out, raw, values):
            if may_be_none:
                plane[~np.isfinite(before)] = value  # NaN, or an infinity
            if valid is not None:
                plane[~valid] = value

    def _may_leave(self, kind: np.dtype[Any]) -> bool:
        """Whether values of a type can lie outside low to high."""
        if not np.issubdtype(kind, np.integer):
            return True
        limits = np.iinfo(kind)
        return bool(limits.min < max(self.low) or limits.max > min(self.high))


def pad_to(pixels: NDArray[Any], have: Window, want: Window) -> NDArray[Any]:
    """Extend ``pixels`` [bands, rows, cols] of window ``have`` to ``want`` by mirroring.

    ``have`` lies inside ``want``. Mirroring repeats where the raster is smaller than the margin.
    """
    if have == want:
        return pixels
    rows = _mirrored(want.row - have.row, want.row_end - have.row, have.rows)
    cols = _mirrored(want.col - have.col, want.col_end - have.col, have.cols)
    return np.take(np.take(pixels, rows, axis=1), cols, axis=2)


def _mirrored(start: int, end: int, length: int) -> NDArray[np.intp]:
    """Which of ``length`` pixels stands at each place from ``start`` to ``end``.

    As numpy's ``pad`` with the mode "symmetric", which older versions get wrong where the ends are
    mirrored several times.
    """
    places = np.arange(start, end) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def part_of(inner: Window, outer: Window) -> tuple[slice, slice, slice]:
    """Where ``inner`` lies in an array [bands, rows, cols] over ``outer``."""
    rows = slice(inner.row - outer.row, inner.row_end - outer.row)
    return slice(None), rows, slice(inner.col - outer.col, inner.col_end - outer.col)
