"""Checkpoints as a training leaves them, without the training."""

from __future__ import annotations

from pathlib import Path

import torch

from scasnet_qgis.common.model_card import default_color
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.settings.config import TrainingConfig
from tests.network.test_onnx_export import picture
from tests.network.weights import randomise


def write_training(work: Path) -> ScasNet:
    """A training's work folder, as far as an export looks into it; returns its best network."""
    network = ScasNet(ScasNetConfig("vgg", 3, 3, 0.05))
    randomise(network, picture(2, 97, 131))
    classes = [
        {"value": str(index), "name": f"kind {index}", "color": default_color(index)}
        for index in range(3)
    ]
    config = {
        "data": [],
        "classes": classes,
        "width": 0.05,
        "card": {"name": "Ours", "licence": "CC0", "tile_size": 384},
    }
    state = {
        "network": vars(network.config),
        "bands": ["red", "green", "blue"],
        "classes": [entry["name"] for entry in classes],
        "normalisation": {"value_range": [0, 255], "mean": [0.4] * 3, "std": [0.9] * 3},
        "config": TrainingConfig.of(config).as_dict(),
        "facts": {
            "resolution": [0.2, 0.7], "training_data": "a.tif", "validation_data": "b.tif",
        },
        "overall_accuracy": 0.8,
        "mean_iou": 0.6,
        "iou": {"kind 0": 0.5, "kind 1": 0.7, "kind 2": None},
        "confusion": [[1] * 3] * 3,
    }  # fmt: skip
    weights = {f"model.{key}": tensor for key, tensor in network.state_dict().items()}
    Checkpoint(weights, state).save(work / "best")
    # A running training: its newest weights are noise here, their running mean is the network.
    noise = {key: torch.randn_like(tensor.float()) for key, tensor in weights.items()}
    means = {f"mean.{key}": tensor for key, tensor in network.state_dict().items()}
    Checkpoint({**noise, **means}, state).save(work / "checkpoint")
    return network.eval()
