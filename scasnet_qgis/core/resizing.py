"""Bilinear, antialiased resizing of images and scores [N, channels, H, W]."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resize(nchw: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.float32]:
    """Resize [N, channels, H, W] to ``rows`` x ``cols``: bilinear, antialiased where it shrinks.

    As PyTorch's ``interpolate(antialias=True, align_corners=False)``: pixels are areas, the outer
    edges stay, weights add up to 1 and nothing is extrapolated. Returns the same array where the
    size is the same.
    """
    for axis, length in ((2, rows), (3, cols)):
        if nchw.shape[axis] != length:
            nchw = _along(nchw, axis, length)
    return nchw


def _along(nchw: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    shape = [*nchw.shape[:axis], length, *nchw.shape[axis + 1 :]]
    result = np.zeros(shape, dtype=np.float32)
    for positions, weights in zip(*_taps(nchw.shape[axis], length)):
        taken = np.take(nchw, positions, axis=axis)
        taken *= weights if axis == 3 else weights[:, None]
        result += taken
    return result


@lru_cache(maxsize=64)
def _taps(old_size: int, new_size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Positions and weights of the old pixels that make up each new one; both [taps, new_size].

    The weights fall off linearly to 0 at one pixel of the coarser of the two sizes.
    """
    step = old_size / new_size
    reach = max(step, 1.0)
    centres = (np.arange(new_size) + 0.5) * step
    first = np.ceil(centres - reach - 0.5)
    positions = first + np.arange(ceil(2 * reach) + 1)[:, None]
    weights = np.maximum(1.0 - np.abs(positions + 0.5 - centres) / reach, 0.0)
    weights[(positions < 0) | (positions >= old_size)] = 0.0
    weights /= weights.sum(axis=0)
    used = weights.any(axis=1)
    positions = np.clip(positions, 0, old_size - 1).astype(np.intp)
    return positions[used], weights[used].astype(np.float32)
