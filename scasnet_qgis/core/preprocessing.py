"""From a raster's values to the 0-1 input of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        self, raw: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> NDArray[np.float32]:
        """Scale raw values [bands, rows, cols]; values outside low to high are clipped."""
        low = np.asarray(self.low, dtype=np.float32)[:, None, None]
        span = np.asarray(self.high, dtype=np.float32)[:, None, None] - low
        scaled = raw.astype(np.float32)
        scaled -= low
        scaled *= np.float32(1.0) / np.where(span > 0, span, np.float32(1.0))
        np.clip(scaled, 0.0, 1.0, out=scaled)
        for band, value in zip(scaled, self.fill):
            if np.issubdtype(raw.dtype, np.floating):
                band[np.isnan(band)] = value
            if valid is not None:
                band[~valid] = value
        return scaled


def pad_to(pixels: NDArray[np.float32], have: Window, want: Window) -> NDArray[np.float32]:
    """Extend ``pixels`` [bands, rows, cols] of window ``have`` to ``want`` by mirroring.

    ``have`` lies inside ``want``. Mirroring repeats where the raster is smaller than the margin.
    """
    if have == want:
        return pixels
    margins = (
        (0, 0),
        (have.row - want.row, want.row_end - have.row_end),
        (have.col - want.col, want.col_end - have.col_end),
    )
    return np.pad(pixels, margins, mode="symmetric")
