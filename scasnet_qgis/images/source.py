"""The protocol of input images: a raster file, or a layer that QGIS renders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.nodata import MaskRule
from scasnet_qgis.images.value_scaling import ValueRange
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import Window

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
    def advised_bands(self) -> Sequence[int]:
        """What ``bands`` are where nobody chooses; none where there are too few."""

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
    def marks_gaps(self) -> bool:
        """Whether some pixels may hold no data."""

    @property
    def has_palette(self) -> bool:
        """Whether its colours are those of a palette."""

    @property
    def warnings(self) -> Iterable[Message]:
        """What is odd about it, for the log."""

    def may_hold_data(self, window: Window) -> bool:
        """False for windows of which is known without reading that they hold no data."""

    def carried(self, overlap: int) -> int:
        """Bytes that a column of rows read ahead takes, see tiling/overlap_cache.py."""

    def cache_bytes_for(self, tile: tuple[int, int]) -> int:
        """Bytes of GDAL's cache with which tiles (rows, cols) need no block twice."""

    def scaling(self, card: ModelCard, given: ValueRange | None = None) -> Scaling:
        """How values become the model's input (images/value_scaling.py); raises InputError."""

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all).

        Raises InputError and Cancelled.
        """
