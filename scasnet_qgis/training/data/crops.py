"""Random crops of the scenes, augmented, and where the pixels of each class are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scasnet_qgis.tiling.windows import Window, aligned_windows
from scasnet_qgis.training.data.memmaps import cut
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.data.split import count_labels
from scasnet_qgis.training.settings.config import TrainingConfig

SPARSE = 0.5  # share of labelled pixels below which crops are centred on labels only
_COLOURS = 3  # bands that a change of saturation mixes


class CropSampler:
    """Draws batches of augmented crops.

    A share of the crops lies around a pixel of a class drawn with equal chance for every class,
    so that rare classes are seen. The others lie anywhere, scenes drawn by their area; or, where
    labels are sparse, around any labelled pixel, as most crops would show none.

    Safe to be used from several threads, as drawing changes nothing but the generator.
    """

    def __init__(
        self, scenes: Sequence[Scene], classes: int, normalisation: Normalisation, seed: int
    ) -> None:
        self.scenes, self._normalisation = scenes, normalisation
        self._groups = find_positions(scenes, classes, np.random.default_rng(seed))
        self.class_counts = np.array(
            [sum(group.pixels for group in groups) for groups in self._groups], dtype=np.int64
        )
        areas = np.array([scene.labels.size for scene in scenes], dtype=np.float64)
        self._area_share = areas / areas.sum()
        self.is_sparse = bool(self.class_counts.sum() < SPARSE * areas.sum())

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
        low, high = np.log(config.scale_range)
        extent = round(size / float(np.exp(generator.uniform(low, high))))
        scene, row, col = self._centre(extent, config, generator)
        raw, labels, valid = _square(self.scenes[scene], row, col, extent)
        # Filled before resizing too, or nodata would run into the pixels beside it.
        image = self._normalisation.scale(raw[None], valid[None])
        image = functional.interpolate(
            image, (size, size), mode="bilinear", align_corners=False, antialias=extent > size
        )
        marks = torch.stack([labels.float(), valid.float()])[None]
        marks = functional.interpolate(marks, (size, size), mode="nearest")
        both = _turned(torch.cat([image[0], marks[0]]), generator)
        image, labels, valid = both[:-2], both[-2].long(), both[-1] > 0
        image = self._normalisation.fill(_coloured(image, generator)[None], valid[None])[0]
        return image.contiguous(), labels.contiguous()

    def _centre(
        self, extent: int, config: TrainingConfig, generator: Generator
    ) -> tuple[int, int, int]:
        """Scene, row and column of the middle of a crop of ``extent`` pixels."""
        if generator.random() < config.balanced_share:
            occurring = np.flatnonzero(self.class_counts)
            label = int(generator.choice(occurring))
        elif self.is_sparse:
            share = self.class_counts / self.class_counts.sum()
            label = int(generator.choice(len(share), p=share))
        else:
            scene = int(generator.choice(len(self.scenes), p=self._area_share))
            rows, cols = self.scenes[scene].labels.shape
            return scene, int(generator.integers(rows)), int(generator.integers(cols))
        group = _drawn(self._groups[label], generator)
        row, col = group.positions[generator.integers(len(group.positions))]
        jitter = generator.integers(-(extent // 3), extent // 3 + 1, 2)
        return group.scene, int(row + jitter[0]), int(col + jitter[1])


def _drawn(groups: Sequence[Group], generator: Generator) -> Group:
    """A group, drawn by its number of pixels."""
    weights = np.array([group.pixels for group in groups], dtype=np.float64)
    return groups[int(generator.choice(len(groups), p=weights / weights.sum()))]


def _square(scene: Scene, row: int, col: int, extent: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, labels and valid of a square around a place, moved inside the scene where it fits.

    ``extent`` is its side in pixels.
    """
    rows, cols = scene.labels.shape
    top = int(np.clip(row - extent // 2, 0, max(rows - extent, 0)))
    left = int(np.clip(col - extent // 2, 0, max(cols - extent, 0)))
    window = Window(top, left, extent, extent)
    # As float in numpy already: PyTorch knows no uint16 before 2.3.
    image = np.array(cut(scene.pixels, window), dtype=np.float32)
    labels = np.array(cut(scene.labels, window))
    valid = (
        np.ones(labels.shape, np.bool_)
        if scene.valid is None
        else np.array(cut(scene.valid, window))
    )
    below, right = extent - labels.shape[0], extent - labels.shape[1]
    if below or right:
        image = np.pad(image, ((0, 0), (0, below), (0, right)), mode="symmetric")
        labels = np.pad(labels, ((0, below), (0, right)), constant_values=IGNORE)
        valid = np.pad(valid, ((0, below), (0, right)), mode="symmetric")
    return torch.from_numpy(image), torch.from_numpy(labels), torch.from_numpy(valid)


def _turned(planes: Tensor, generator: Generator) -> Tensor:
    """[planes, S, S] turned by quarters and mirrored."""
    planes = torch.rot90(planes, int(generator.integers(4)), (1, 2))
    return planes.flip(2) if generator.random() < 0.5 else planes


def _coloured(image: Tensor, generator: Generator) -> Tensor:
    """Other light: gamma, contrast, brightness, bands apart, saturation; [bands, S, S] in 0-1."""
    if generator.random() >= 0.8:
        return image
    image = image ** float(np.exp(generator.uniform(-0.35, 0.35)))
    contrast = float(np.exp(generator.uniform(-0.25, 0.25)))
    mean = image.mean()
    image = (image - mean) * contrast + mean + float(generator.uniform(-0.1, 0.1))
    gains = torch.from_numpy(np.exp(generator.uniform(-0.1, 0.1, (len(image), 1, 1)))).float()
    saturation = float(np.exp(generator.uniform(-0.4, 0.4)))
    if len(image) >= _COLOURS:
        colours = image[:_COLOURS]
        grey = colours.mean(dim=0, keepdim=True)
        image = torch.cat([(colours - grey) * saturation + grey, image[_COLOURS:]])
    return (image * gains).clamp(0, 1)


MAX_POSITIONS = 4000  # remembered positions of a class in one scene
_STEP = 1024  # rows and columns looked at in one go


@dataclass(frozen=True)
class Group:
    """Positions [N, 2] (row, column) of one class in a scene, where ``pixels`` are of it."""

    scene: int
    pixels: int
    positions: NDArray[np.int64]


def find_positions(
    scenes: Sequence[Scene], classes: int, generator: Generator
) -> list[list[Group]]:
    """For each class its groups, drawn evenly from all of its pixels.

    Looks at one window at a time, so that memory does not grow with the scenes.
    """
    found: list[list[Group]] = [[] for _ in range(classes)]
    for index, scene in enumerate(scenes):
        windows = list(aligned_windows(Window(0, 0, *scene.labels.shape), _STEP))
        counts = np.array([count_labels(scene.labels, classes, window) for window in windows])
        totals = counts.sum(axis=0)
        wanted = [_share_out(counts[:, label], generator) for label in range(classes)]
        drawn: list[list[NDArray[np.int64]]] = [[] for _ in range(classes)]
        for number, window in enumerate(windows):
            asked = {
                label: int(shares[number]) for label, shares in enumerate(wanted) if shares[number]
            }
            for label, positions in _draw(scene, window, asked, generator):
                drawn[label].append(positions)
        for label, parts in enumerate(drawn):
            if parts:
                found[label].append(Group(index, int(totals[label]), np.concatenate(parts)))
    return found


def _share_out(counts: NDArray[np.int64], generator: Generator) -> NDArray[np.int64]:
    """How many positions each window gives: MAX_POSITIONS in all, or all where there are fewer."""
    total = int(counts.sum())
    if total <= MAX_POSITIONS:
        return counts
    return np.minimum(generator.multinomial(MAX_POSITIONS, counts / total), counts)


def _draw(
    scene: Scene, window: Window, asked: dict[int, int], generator: Generator
) -> list[tuple[int, NDArray[np.int64]]]:
    if not asked:
        return []
    labels = np.asarray(cut(scene.labels, window))
    found = []
    for label, count in asked.items():
        flat = generator.choice(np.flatnonzero(labels == label), count, replace=False)
        rows, cols = np.divmod(flat, window.cols)
        positions = np.stack([rows + window.row, cols + window.col], axis=1)
        found.append((label, positions.astype(np.int64)))
    return found
