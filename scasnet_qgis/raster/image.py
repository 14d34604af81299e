"""What a map can be made from: a raster in a file, or a layer that QGIS renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scasnet_qgis.core.card import ModelCard
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.preprocessing import Scaling
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.mask import MaskRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Image(Protocol):
    """Windows of the bands that a model reads; used from one thread at a time.

    ``bands`` are numbers from 1, in the model's order. ``block_rows`` is how many rows are stored,
    or fetched, together.
    """

    block_rows: int

    @property
    def grid(self) -> Grid:
        """The pixels that there are, as far as a window may reach."""

    @property
    def bands(self) -> Sequence[int]:
        """Which band feeds each band of the model."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy's type of the values."""

    @property
    def rule(self) -> MaskRule:
        """How a pixel is found to hold no data."""

    @property
    def has_only_control_points(self) -> bool:
        """Whether there is a position, but none that a map could take over."""

    def carried(self, overlap: int) -> int:
        """Bytes that a column of rows read ahead takes, see core/carrying.py."""

    def cache_for(self, tile: tuple[int, int]) -> int:
        """Bytes of GDAL's cache with which tiles (rows, cols) need no block twice."""

    def scaling(self, card: ModelCard) -> Scaling:
        """How the values become the model's input; raises InputError where they cannot."""

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all).

        Raises InputError and Cancelled.
        """


def scaled_by_range(card: ModelCard, count: int) -> Scaling:
    """The value range of the card for each of ``count`` bands."""
    fill = card.mean if card.mean and len(card.mean) == count else (0.5,) * count
    low, high = card.value_range
    text = translate("ScasNet", "Values are scaled by the model's range, {low:g} to {high:g}.")
    rule = message(text, low=low, high=high)
    return Scaling((low,) * count, (high,) * count, tuple(fill), rule)
