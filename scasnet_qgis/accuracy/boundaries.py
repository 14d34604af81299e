"""Pixels near the boundary between two classes, as the ISPRS benchmark leaves them out."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Operation = Callable[..., NDArray[np.uint8]]


def near_other_class(labels: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """True where a labelled pixel has one of another class within ``radius`` pixels.

    ``labels`` [rows, cols] are class indices, 255 without a label. The distance is that of pixel
    centres, dx^2 + dy^2 <= radius^2. A boundary to what has no label, or to the array's edge, is
    none: exact results need ``radius`` pixels more on every side.

    Another class is near where the largest or the smallest index within the disc is another one.
    """
    if radius < 1:
        return np.zeros(labels.shape, dtype=np.bool_)
    smallest = _over_disc(labels, radius, np.minimum, 255)
    raised = labels + np.uint8(1)  # without a label: 255 + 1 is 0, which is never the largest
    largest = _over_disc(raised, radius, np.maximum, 0)
    return np.asarray((labels != 255) & ((smallest != labels) | (largest != raised)))


def _over_disc(
    values: NDArray[np.uint8], radius: int, operation: Operation, neutral: int
) -> NDArray[np.uint8]:
    """The extreme over the disc around each pixel; beyond the edge is ``neutral``.

    A disc is one run of pixels in each of its rows. The runs grow from the outermost row of the
    disc to the middle one, so that each is made from the one before.
    """
    rows, cols = values.shape
    padded = np.pad(values, radius, constant_values=neutral)
    run = padded[:, radius : radius + cols].copy()  # the extreme of a run around each column
    result = np.full(values.shape, neutral, dtype=np.uint8)
    half_width = 0
    for distance in range(radius, -1, -1):
        for step in range(half_width + 1, isqrt(radius**2 - distance**2) + 1):
            operation(run, padded[:, radius - step : radius - step + cols], out=run)
            operation(run, padded[:, radius + step : radius + step + cols], out=run)
            half_width = step
        for row in {radius - distance, radius + distance}:
            operation(result, run[row : row + rows], out=result)
    return result
