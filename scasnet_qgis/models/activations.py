"""What a model gives, turned into class scores that add up to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What it is given may be changed: it is nobody else's.
Activation = Callable[["NDArray[Any]"], "NDArray[np.float32]"]
_TOLERANCE = 0.01  # half precision keeps three digits
_CHUNK = 32  # rows at a time, so that they stay in the processor's cache


def activation_of(scores: NDArray[Any]) -> Activation:
    """What is missing behind a model that gave ``scores`` [N, channels, rows, cols]."""
    values = scores.astype(np.float32)
    inside = bool(values.min() >= -_TOLERANCE and values.max() <= 1 + _TOLERANCE)
    if scores.shape[1] == 1:
        return two_classes if inside else two_classes_from_logits
    if inside and np.abs(values.sum(axis=1) - 1).max() <= _TOLERANCE:
        return identity if scores.dtype == np.float32 else normalise
    return softmax


def identity(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities in single precision need nothing."""
    return scores.astype(np.float32, copy=False)


def normalise(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities in another precision, which add up to about one."""
    values = scores.astype(np.float32)
    values /= values.sum(axis=1, keepdims=True)
    return values


def softmax(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Scores of any size to probabilities over the classes; those in float32 are changed."""
    values = scores.astype(np.float32, copy=False)
    if not values.flags.writeable:
        values = values.copy()
    for tile in values:
        for row in range(0, tile.shape[1], _CHUNK):
            planes = tile[:, row : row + _CHUNK]
            planes -= planes.max(axis=0)
            np.exp(planes, out=planes)
            planes /= planes.sum(axis=0)
    return values


def two_classes(scores: NDArray[Any]) -> NDArray[np.float32]:
    """One probability p to two classes: 1 - p for the background, p."""
    values = np.clip(scores.astype(np.float32), 0, 1)
    return np.concatenate([1 - values, values], axis=1)


def two_classes_from_logits(scores: NDArray[Any]) -> NDArray[np.float32]:
    """One score of any size to the probabilities of two classes."""
    # tanh cannot overflow, which exp does on a large negative score.
    return two_classes(0.5 * (1 + np.tanh(0.5 * scores.astype(np.float32))))
