"""Pictures and scores in another size."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resize(nchw: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.float32]:
    """Bring [N, channels, H, W] to ``rows`` x ``cols``: bilinear, smoothed where it shrinks.

    Pixels are areas, so the outer edges stay where they are. Each value is a mean with weights
    that add up to 1; beyond the edges nothing is made up. The same array where the size is.
    """
    for axis, length in ((2, rows), (3, cols)):
        if nchw.shape[axis] != length:
            nchw = _along(nchw, axis, length)
    return nchw


def _along(nchw: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    shape = [*nchw.shape[:axis], length, *nchw.shape[axis + 1 :]]
    result = np.zeros(shape, dtype=np.float32)
    for places, weights in zip(*_taps(nchw.shape[axis], length)):
        part = np.take(nchw, places, axis=axis)
        part *= weights if axis == 3 else weights[:, None]
        result += part
    return result


@lru_cache(maxsize=64)
def _taps(before: int, after: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which pixels make up each new one, and by how much; [taps, after] both.

    The weights fall off linearly to 0 at one pixel of the coarser of the two sizes.
    """
    step = before / after
    reach = max(step, 1.0)
    centres = (np.arange(after) + 0.5) * step
    first = np.ceil(centres - reach - 0.5)
    places = first + np.arange(ceil(2 * reach) + 1)[:, None]
    weights = np.maximum(1.0 - np.abs(places + 0.5 - centres) / reach, 0.0)
    weights[(places < 0) | (places >= before)] = 0.0
    weights /= weights.sum(axis=0)
    used = weights.any(axis=1)
    places = np.clip(places, 0, before - 1).astype(np.intp)
    return places[used], weights[used].astype(np.float32)
