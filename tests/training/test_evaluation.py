"""Accuracy on labelled scenes is measured as maps are made."""

from __future__ import annotations

import numpy as np
import torch

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.windows import plan_axis
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.evaluation import confusion

ROWS, COLS, TILE, OVERLAP = 300, 80, 64, 16
ROWS_OF_TILE = 48  # as wide as the image, and no larger than a square one
# With this mean, what has no data becomes 0, and no 8-bit value does.
NORMALISATION = Normalisation((0.0, 255.0), (0.5, 0.5), (1.0, 1.0))


def scene_of(*labelled: tuple[int, int]) -> Scene:
    """An image whose first band is brighter where the class is 1; labels at these places only."""
    pixels = np.random.default_rng(8).integers(0, 256, (2, ROWS, COLS)).astype(np.uint8)
    labels = np.full((ROWS, COLS), IGNORE, dtype=np.uint8)
    for row, col in labelled:
        labels[row, col] = pixels[0, row, col] > pixels[1, row, col]
    return Scene("made up", pixels, labels)


def test_tiles_without_labels_are_left_out_and_the_others_see_the_whole_image() -> None:
    """Also the rows that they share with a tile that is left out."""
    scene = scene_of((100, 40), (101, 41), (102, 3), (250, 10), (251, 7))
    seen: list[np.ndarray] = []

    def forward(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.numpy().copy())
        return images.flip(1)  # the class is 1 where the first band is the brighter one

    found = confusion(forward, [scene], NORMALISATION, 2, (TILE, OVERLAP), Progress())
    axis = plan_axis(ROWS, ROWS_OF_TILE, OVERLAP, fixed=False)
    labelled = (scene.labels != IGNORE).any(axis=1)
    wanted = [start for start in axis.starts if labelled[start : start + axis.size].any()]
    assert 0 < len(wanted) < len(axis)
    assert [tile.shape for tile in seen] == [(1, 2, axis.size, COLS)] * len(wanted)
    for start, tile in zip(wanted, seen):
        image = scene.pixels[:, start : start + axis.size] / np.float32(255) - 0.5
        np.testing.assert_allclose(tile[0], image, atol=1e-6)
    assert (found.total, found.overall_accuracy) == (5, 1.0)
