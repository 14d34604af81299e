"""Masks of the pixels that hold data; None stands for all pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.core.carrying import Part
from scasnet_qgis.core.preprocessing import part_of
from scasnet_qgis.core.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mask_of(placed: Window, parts: Sequence[Part]) -> NDArray[np.bool_] | None:
    """Which pixels of a window of the raster hold data, from what was read; None: all."""
    if all(part.valid is None for part in parts):
        return None
    result = np.zeros((placed.rows, placed.cols), dtype=np.bool_)
    for part in parts:
        common = placed.intersect(part.window)
        if not common.empty:
            valid = np.True_ if part.valid is None else part.valid[part_of(common, part.window)[1:]]
            result[part_of(common, placed)[1:]] = valid
    return result


def both(
    valid: NDArray[np.bool_] | None, inside: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Pixels of which both are true; None stands for all pixels."""
    if valid is None or inside is None:
        return inside if valid is None else valid
    return valid & inside


def any_of(valid: NDArray[np.bool_] | None) -> bool:
    """Whether any pixel holds data."""
    return valid is None or bool(valid.any())
