"""Resampling between two pixel grids of the same extent: source pixels and their weights.

Positions are counted in whole numbers, so that they are the same wherever a window begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Positions and weights [taps, pixels] of the source pixels of each pixel.
Taps = tuple["NDArray[np.intp]", "NDArray[np.float32]"]


def nearest_two(
    first: int, count: int, size: int, source_size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The two source pixels around the centre of each pixel, for linear interpolation.

    ``first`` to ``first + count`` are the pixels of an axis of ``size`` pixels, which has
    ``source_size`` pixels on the source grid. Returns the one before, the one after, and the weight
    of the latter. They are the same at the ends of the axis and where two centres coincide.
    """
    twice = 2 * np.arange(first, first + count, dtype=np.int64) + 1  # centres, in half pixels
    before, rest = np.divmod(twice * source_size - size, 2 * size)
    after = np.minimum(before + (rest > 0), source_size - 1)
    before = np.maximum(before, 0)
    share = np.where(after > before, rest / (2 * size), 0.0)
    return before.astype(np.intp), after.astype(np.intp), share.astype(np.float32)


def taps(first: int, count: int, size: int, source_size: int, *, cubic: bool = False) -> Taps:
    """Source pixels and weights of the pixels ``first`` to ``first + count`` of an axis.

    The mean of what they cover, each source pixel by the part that is covered, where they are
    larger; linear or cubic interpolation where they are smaller. Weights add up to 1; only cubic
    ones can be below 0.
    """
    if size > source_size and cubic:
        return _cubic(first, count, size, source_size)
    if size >= source_size:
        before, after, share = nearest_two(first, count, size, source_size)
        return np.stack((before, after)), np.stack((1 - share, share))
    # In units in which a pixel is `source_size` long, and a source pixel is `size` long.
    starts = np.arange(first, first + count, dtype=np.int64) * source_size
    most = -(-source_size // size) + 1
    positions = starts // size + np.arange(most)[:, None]
    ends = np.minimum((positions + 1) * size, starts + source_size)
    covered = np.maximum(ends - np.maximum(positions * size, starts), 0)
    used = covered.any(axis=1)
    weights = (covered / source_size).astype(np.float32)
    return np.minimum(positions, source_size - 1).astype(np.intp)[used], weights[used]


def _cubic(first: int, count: int, size: int, source_size: int) -> Taps:
    """Cubic convolution with a = -1/2 (Keys 1981, IEEE Trans. ASSP 29, p. 1155)."""
    twice = 2 * np.arange(first, first + count, dtype=np.int64) + 1
    before, rest = np.divmod(twice * source_size - size, 2 * size)
    positions = before + np.arange(-1, 3)[:, None]
    away = np.abs(rest / (2 * size) - np.arange(-1, 3)[:, None])
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights = np.where(away <= 1, near, far)  # none is farther than 2, where far is 0
    return np.clip(positions, 0, source_size - 1).astype(np.intp), weights.astype(np.float32)


@dataclass(frozen=True)
class AxisResampling:
    """An axis of a raster of ``source`` pixels, resampled to ``target`` pixels for the model.

    ``start`` and ``count`` are the part of the source pixels that is mapped. It lies between
    ``target_count`` target pixels, from ``target_start`` on.
    """

    source: int
    target: int
    start: int
    count: int

    @property
    def factor(self) -> float:
        """Source pixels to one target pixel."""
        return self.source / self.target

    @cached_property
    def target_start(self) -> int:
        before, _, _ = nearest_two(self.start, 1, self.source, self.target)
        return int(before[0])

    @cached_property
    def target_count(self) -> int:
        _, after, _ = nearest_two(self.start + self.count - 1, 1, self.source, self.target)
        return int(after[0]) + 1 - self.target_start

    def neighbours(
        self, first: int, count: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """As ``nearest_two``; ``first`` and what comes back count from the mapped part's start."""
        before, after, share = nearest_two(self.start + first, count, self.source, self.target)
        return before - self.target_start, after - self.target_start, share

    def needed(self, first: int, count: int) -> tuple[int, int]:
        """The target pixels (first, end) around source pixels, counted as in ``neighbours``."""
        before, _, _ = self.neighbours(first, 1)
        _, after, _ = self.neighbours(first + count - 1, 1)
        return int(before[0]), int(after[0]) + 1

    def touching(self, first: int, end: int) -> tuple[int, int]:
        """The source pixels (first, end) of the whole axis beside any of the target ones.

        ``first`` and ``end`` count target pixels of the whole axis.
        """
        # A centre lies beside pixel k where it is less than a target pixel from the centre of k.
        start = (2 * first - 1) * self.source // (2 * self.target)
        stop = -(-(2 * end + 1) * self.source // (2 * self.target))
        return max(start, 0), min(stop, self.source)


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
