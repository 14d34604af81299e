"""Accuracy of a network on labelled scenes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.training.normalisation import Normalisation
from scasnet_qgis.training.scenes import Scene


def confusion(
    network: nn.Module,
    scenes: list[Scene],
    normalisation: Normalisation,
    classes: int,
    device: str = "cpu",
) -> ConfusionMatrix:
    """Run the network over each scene as a whole and count; pixels without a label are left out."""
    was_training = network.training
    network.eval()
    total = ConfusionMatrix.empty(classes)
    with torch.inference_mode():
        for scene in scenes:
            pixels = np.array(scene.pixels, dtype=np.float32)
            image = normalisation(torch.from_numpy(pixels)[None])
            scores: Tensor = network(_on(device, image))
            mapped = scores.argmax(dim=1)[0].cpu().numpy()
            total += ConfusionMatrix.of(scene.labels, mapped, classes)
    network.train(was_training)
    return total


def _on(device: str, image: Tensor) -> Tensor:
    return image.to(device).contiguous(memory_format=torch.channels_last)
