"""Random crops of the scenes, augmented."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.scenes import IGNORE, Scene

_POSITIONS_PER_CLASS = 4000  # remembered places of a class in one scene


class CropSampler:
    """Draws batches of augmented crops.

    A share of the crops lies around a pixel of a class drawn with equal chance for every class,
    so that rare classes are seen; the others lie anywhere, scenes drawn by their area.
    """

    def __init__(self, scenes: list[Scene], config: TrainingConfig) -> None:
        self.scenes = scenes
        areas = np.array([each.labels.size for each in scenes], dtype=np.float64)
        self._area_share = areas / areas.sum()
        self.class_counts = np.zeros(len(config.classes), dtype=np.int64)
        self._places: list[list[NDArray[np.int64]]] = [[] for _ in config.classes]
        self._place_weight: list[list[float]] = [[] for _ in config.classes]
        generator = np.random.default_rng(config.seed)
        for index, scene in enumerate(scenes):
            self._remember_places(index, scene, generator)

    def _remember_places(self, index: int, scene: Scene, generator: Generator) -> None:
        for label in range(len(self._places)):
            flat = np.flatnonzero(scene.labels == label)
            if not len(flat):
                continue
            self.class_counts[label] += len(flat)
            chosen = generator.choice(flat, min(_POSITIONS_PER_CLASS, len(flat)), replace=False)
            rows, cols = np.divmod(chosen, scene.labels.shape[1])
            self._places[label].append(np.stack([np.full_like(rows, index), rows, cols], axis=1))
            self._place_weight[label].append(float(len(flat)))

    def class_weights(self, power: float) -> Tensor:
        """Loss weight of each class, share ** -power, of mean 1 over the training pixels."""
        share = self.class_counts / self.class_counts.sum()
        weights = np.where(share > 0, np.maximum(share, 1e-6) ** -power, 0)
        return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)

    def batch(self, config: TrainingConfig, generator: Generator) -> tuple[Tensor, Tensor]:
        """Images [N, bands, S, S] scaled to 0-1 and class indices [N, S, S].

        ``config`` is the one in force at the step.
        """
        crops = [self._crop(config, generator) for _ in range(config.batch)]
        return torch.stack([image for image, _ in crops]), torch.stack([mask for _, mask in crops])

    def _crop(self, config: TrainingConfig, generator: Generator) -> tuple[Tensor, Tensor]:
        size = config.crop
        scene, row, col = self._centre(config, generator)
        low, high = np.log(config.scale_range)
        extent = round(size / float(np.exp(generator.uniform(low, high))))
        image, labels = _cut(self.scenes[scene], row, col, extent)
        scaled = functional.interpolate(
            image[None], (size, size), mode="bilinear", align_corners=False, antialias=extent > size
        )[0]
        nearest = functional.interpolate(labels[None, None].float(), (size, size), mode="nearest")
        return _turn_and_colour(scaled, nearest[0, 0].long(), config, generator)

    def _centre(self, config: TrainingConfig, generator: Generator) -> tuple[int, int, int]:
        occurring = [label for label, places in enumerate(self._places) if places]
        if generator.random() < config.balanced_share:
            label = int(generator.choice(occurring))
            weight = np.array(self._place_weight[label])
            group = self._places[label][generator.choice(len(weight), p=weight / weight.sum())]
            scene, row, col = group[generator.integers(len(group))]
            jitter = generator.integers(-config.crop // 3, config.crop // 3 + 1, 2)
            return int(scene), int(row + jitter[0]), int(col + jitter[1])
        scene = int(generator.choice(len(self.scenes), p=self._area_share))
        rows, cols = self.scenes[scene].labels.shape
        return scene, int(generator.integers(rows)), int(generator.integers(cols))


def _cut(scene: Scene, row: int, col: int, extent: int) -> tuple[Tensor, Tensor]:
    """A square of ``extent`` pixels around a place, moved inside the scene where it fits."""
    rows, cols = scene.labels.shape
    top = int(np.clip(row - extent // 2, 0, max(rows - extent, 0)))
    left = int(np.clip(col - extent // 2, 0, max(cols - extent, 0)))
    # As float in numpy already: PyTorch knows no uint16 before 2.3.
    image = np.array(scene.pixels[:, top : top + extent, left : left + extent], dtype=np.float32)
    labels = np.array(scene.labels[top : top + extent, left : left + extent])
    below, right = extent - labels.shape[0], extent - labels.shape[1]
    if below or right:
        image = np.pad(image, ((0, 0), (0, below), (0, right)), mode="symmetric")
        labels = np.pad(labels, ((0, below), (0, right)), constant_values=IGNORE)
    return torch.from_numpy(image), torch.from_numpy(labels)


def _turn_and_colour(
    image: Tensor, labels: Tensor, config: TrainingConfig, generator: Generator
) -> tuple[Tensor, Tensor]:
    turns = int(generator.integers(4))
    image, labels = torch.rot90(image, turns, (1, 2)), torch.rot90(labels, turns, (0, 1))
    if generator.random() < 0.5:
        image, labels = image.flip(2), labels.flip(1)
    low, high = config.value_range
    image = ((image - low) / (high - low)).clamp(0, 1)
    if generator.random() < 0.8:
        image = image ** float(np.exp(generator.uniform(-0.35, 0.35)))
        contrast = float(np.exp(generator.uniform(-0.25, 0.25)))
        mean = image.mean()
        image = (image - mean) * contrast + mean + float(generator.uniform(-0.1, 0.1))
        gains = torch.from_numpy(np.exp(generator.uniform(-0.1, 0.1, (len(image), 1, 1)))).float()
        grey = image.mean(dim=0, keepdim=True)
        saturation = float(np.exp(generator.uniform(-0.4, 0.4)))
        image = ((image - grey) * saturation + grey) * gains
    return image.clamp(0, 1).contiguous(), labels.contiguous()
