"""Band statistics of the training images, and the normalisation that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scasnet_qgis.training.scenes import Scene


@dataclass(frozen=True)
class Normalisation:
    """Raw values are scaled from ``value_range`` to 0-1, then by mean and standard deviation.

    ``mean`` and ``std`` are per band, in units of the scaled values.
    """

    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, raw: Tensor) -> Tensor:
        """Normalise raw values [N, bands, H, W]."""
        low, high = self.value_range
        return self.standardise(((raw - low) / (high - low)).clamp(0, 1))

    def standardise(self, scaled: Tensor) -> Tensor:
        """Normalise values that are scaled to 0-1 already, [N, bands, H, W]."""
        mean = torch.tensor(self.mean).view(1, -1, 1, 1)
        return (scaled - mean) / torch.tensor(self.std).view(1, -1, 1, 1)


def measure(scenes: list[Scene], value_range: tuple[float, float]) -> Normalisation:
    """Mean and standard deviation of each band over all pixels of the scenes.

    Values outside ``value_range`` count as its ends, which is what the network gets to see.
    """
    low, high = value_range
    bands = scenes[0].pixels.shape[0]
    total, squares, count = np.zeros(bands), np.zeros(bands), 0
    for scene in scenes:
        for strip in _strips(scene):
            values = strip.reshape(bands, -1).astype(np.float64).clip(low, high)
            total += values.sum(axis=1)
            squares += (values**2).sum(axis=1)
            count += values.shape[1]
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
    scaled_mean, scaled_std = (mean - low) / (high - low), deviation / (high - low)
    return Normalisation(
        value_range,
        tuple(round(float(each), 5) for each in scaled_mean),
        tuple(round(max(float(each), 1e-3), 5) for each in scaled_std),
    )


def _strips(scene: Scene, rows: int = 512) -> list[NDArray[Any]]:
    return [scene.pixels[:, top : top + rows] for top in range(0, scene.labels.shape[0], rows)]
