"""Start a network from published encoder weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.network.caffe import read_caffemodel
from scasnet_qgis.network.encoders import VggEncoder
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.network.slimming import slim_vgg
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.normalisation import Normalisation
from scasnet_qgis.training.scenes import Scene

WINDOW = 256
WINDOWS = 28


def start_encoder(
    network: ScasNet, config: TrainingConfig, scenes: list[Scene], normalisation: Normalisation
) -> None:
    """Fit the network's VGG encoder to the Caffe weights named in the configuration."""
    if not isinstance(network.encoder, VggEncoder) or config.start_from is None:
        raise SettingError(
            translate("ScasNet", "Only a VGG network can start from VGG encoder weights.")
        )
    if config.bands[:3] != ["red", "green", "blue"]:
        raise SettingError(
            translate(
                "ScasNet", "To start from VGG weights the first bands must be red, green, blue."
            )
        )
    full = read_caffemodel(config.path(config.start_from))
    generator = np.random.default_rng(config.seed)
    pairs: list[tuple[Tensor, Tensor]] = []
    for index in range(WINDOWS):
        scene = scenes[index * len(scenes) // WINDOWS]
        rows, cols = scene.labels.shape
        top = int(generator.integers(max(rows - WINDOW, 0) + 1))
        left = int(generator.integers(max(cols - WINDOW, 0) + 1))
        window = scene.pixels[:, top : top + WINDOW, left : left + WINDOW]
        raw = torch.from_numpy(np.array(window, dtype=np.float32))[None]
        pairs.append((normalisation(raw), caffe_input(raw, config)))
    slim_vgg(network.encoder, full, pairs, config.seed)


def caffe_input(raw: Tensor, config: TrainingConfig) -> Tensor:
    """Blue, green, red in 0-255 minus the mean, as the published Caffe models want it."""
    low, high = config.value_range
    rgb = ((raw[:, :3] - low) * (255.0 / (high - low))).clamp(0, 255)
    mean = torch.tensor(config.start_mean_bgr).view(1, 3, 1, 1)
    return rgb.flip(1) - mean
