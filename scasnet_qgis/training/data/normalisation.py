"""Band statistics of the training images, and the normalisation that follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scasnet_qgis.tiling.windows import Window, aligned_windows
from scasnet_qgis.training.data.memmaps import cut
from scasnet_qgis.training.data.scenes import Scene

BYTE_RANGE = (0.0, 255.0)
_PERCENTILES = (0.1, 99.9)
_STEP = 512  # rows and columns looked at in one go
_ENOUGH = 50_000_000  # pixels that statistics are taken from; more change nothing but the time
_SAMPLE = 2_000_000  # pixels that percentiles are taken from


@dataclass(frozen=True)
class Normalisation:
    """Raw values are scaled from ``value_range`` to 0-1, then by mean and standard deviation.

    ``mean`` and ``std`` are per band, in units of the scaled values.
    """

    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, raw: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise raw values [N, bands, H, W]; ``valid`` [N, H, W] as in ``scale``."""
        return self.standardise(self.scale(raw, valid))

    def scale(self, raw: Tensor, valid: Tensor | None = None) -> Tensor:
        """Scale raw values [N, bands, H, W] to 0-1, as tiling.scaling does for a map.

        Where ``valid`` [N, H, W] is false, and where a value is no number, stands the mean.
        """
        low, high = self.value_range
        scaled = ((raw - low) / (high - low)).clamp(0, 1)
        return self.fill(torch.where(scaled.isnan(), self._column(self.mean), scaled), valid)

    def fill(self, scaled: Tensor, valid: Tensor | None) -> Tensor:
        """The mean where ``valid`` [N, H, W] is false, in values [N, bands, H, W] of 0-1."""
        if valid is None:
            return scaled
        return torch.where(valid[:, None], scaled, self._column(self.mean))

    def standardise(self, scaled: Tensor) -> Tensor:
        """Normalise values that are scaled to 0-1 already, [N, bands, H, W]."""
        return (scaled - self._column(self.mean)) / self._column(self.std)

    @staticmethod
    def _column(values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values).view(1, -1, 1, 1)


def measure(
    scenes: Sequence[Scene], value_range: tuple[float, float] | None = None
) -> Normalisation:
    """Mean and standard deviation of each band over the pixels with data.

    Values outside ``value_range`` count as its ends, which is what the network gets to see. Where
    it is not given it is 0 to 255 for 8-bit images; else it reaches from the lowest to the highest
    of the bands' 0.1 and 99.9 percentiles. Large scenes are looked at in windows spread over them.
    """
    low, high = value_range or _range_of(scenes)
    bands = scenes[0].pixels.shape[0]
    total, squares, count = np.zeros(bands), np.zeros(bands), 0
    for values in _parts(scenes, _ENOUGH):
        clipped = values.astype(np.float64).clip(low, high)
        total += clipped.sum(axis=1)
        squares += (clipped**2).sum(axis=1)
        count += clipped.shape[1]
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 1e-12))
    scaled_mean, scaled_std = (mean - low) / (high - low), deviation / (high - low)
    return Normalisation(
        (low, high),
        tuple(round(float(value), 5) for value in scaled_mean),
        tuple(round(max(float(value), 1e-3), 5) for value in scaled_std),
    )


def _range_of(scenes: Sequence[Scene]) -> tuple[float, float]:
    if all(scene.pixels.dtype == np.uint8 for scene in scenes):
        return BYTE_RANGE
    pixels = sum(scene.labels.size for scene in scenes)
    thin = (min(pixels, _ENOUGH) // _SAMPLE) | 1  # odd, or it would hit the same columns always
    sample = np.concatenate([values[:, ::thin] for values in _parts(scenes, _ENOUGH)], axis=1)
    if not sample.size:
        return 0.0, 1.0
    limits = np.percentile(sample, _PERCENTILES, axis=1)
    low, high = (float(f"{limit:.4g}") for limit in (limits[0].min(), limits[1].max()))
    if not high > low:
        high = low + 1.0
    # On a card, 0 to 255 says that the model knows 8-bit images, see RasterReader.scaling.
    return (low, high + 0.5) if (low, high) == BYTE_RANGE else (low, high)


def _parts(scenes: Sequence[Scene], enough: int) -> Iterator[NDArray[np.generic]]:
    """Values [bands, pixels] of pixels with data, all or from places spread over the scenes."""
    windows = [
        (scene, window)
        for scene in scenes
        for window in aligned_windows(Window(0, 0, *scene.labels.shape), _STEP)
    ]
    count = 0
    for index in np.random.default_rng(0).permutation(len(windows)):
        if count >= enough:
            break
        scene, window = windows[index]
        values = np.asarray(cut(scene.pixels, window)).reshape(len(scene.pixels), -1)
        if scene.valid is not None:
            values = values[:, np.asarray(cut(scene.valid, window)).ravel()]
        count += values.shape[1]
        yield values
