"""Masks of the pixels that hold data; None stands for a mask that is True everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

import numpy as np

from scasnet_qgis.tiling.overlap_cache import RowSlice
from scasnet_qgis.tiling.scaling import window_slices
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Reads the mask [rows, cols] of a window.
MaskReader = Callable[[Window], "NDArray[np.bool_] | None"]


def valid_mask(window: Window, slices: Sequence[RowSlice]) -> NDArray[np.bool_] | None:
    """The mask [rows, cols] of a window, from the slices that were read of it; None: all valid."""
    if all(part.valid is None for part in slices):
        return None
    mask = np.zeros(window.shape, dtype=np.bool_)
    for part in slices:
        common = window.intersect(part.window)
        if not common.empty:
            at = window_slices(common, part.window)[1:]
            target = window_slices(common, window)[1:]
            mask[target] = True if part.valid is None else part.valid[at]
    return mask


def intersect_masks(
    first: NDArray[np.bool_] | None, second: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """The logical and of two masks."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def any_valid(valid: NDArray[np.bool_] | None) -> bool:
    """Whether any pixel holds data."""
    return valid is None or bool(valid.any())
