"""The best network of a training run as a model file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scasnet_qgis.core.card import ModelCard, ModelClass, default_color
from scasnet_qgis.core.errors import SettingError, TrainingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.network.export import ExportCheck, export
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.scenes import Scene, scenes_of

SAMPLE_SIZE = 512  # pixels
_NAMES = {"vgg": "VGG ScasNet", "resnet": "ResNet ScasNet"}
# What the settings may say under "card"; the rest follows from the run.
CARD_KEYS = (
    "name", "description", "licence", "attribution", "training_data", "accuracy_data",
    "resolution", "tile_size", "overlap",
)  # fmt: skip


def export_best(
    work: Path,
    config: TrainingConfig,
    output: Path,
    *,
    fixed_size: int | None = None,
    half: bool = False,
) -> ExportCheck:
    """Write the best network of the run in ``work`` to ``output``, checked on validation scenes.

    Raises TrainingError where the run has none yet, SettingError where the settings' card does
    not fit, ModelError where the check fails.
    """
    best = Checkpoint.load(work / "best")
    if best is None:
        raise TrainingError(
            translate("ScasNet", "The training in {work} has no best network yet: train longer."),
            work=work,
        )
    card = build_card(config, best.state)
    network = ScasNet(ScasNetConfig(**best.state["network"]))
    network.load_state_dict(best.group("model"))
    sample = _sample(work, config, card.value_range)
    return export(network, card, output, sample=sample, fixed_size=fixed_size, half=half)


def build_card(config: TrainingConfig, state: dict[str, Any]) -> ModelCard:
    """The card of the network whose evaluation is ``state``."""
    given = dict(config.card)
    unknown = sorted(set(given) - set(CARD_KEYS))
    if unknown:
        raise SettingError(
            translate("ScasNet", "The card in the training settings has unknown keys: {names}."),
            names=", ".join(unknown),
        )
    measured_on = given.pop("accuracy_data", f"scenes matching {config.validation}")
    network = _NAMES[state["network"]["variant"]]
    # The overlap that hides the borders of ScasNet's tiles; a smaller tile cannot hold it.
    tile = int(given.pop("tile_size", 512))
    overlap = int(given.pop("overlap", min(128, tile // 4)))
    normalisation = state["normalisation"]
    return ModelCard(
        name=str(given.pop("name", network)),
        classes=tuple(
            ModelClass(str(each["name"]), str(each.get("color", default_color(index))))
            for index, each in enumerate(config.classes)
        ),
        bands=tuple(config.bands),
        value_range=tuple(normalisation["value_range"]),
        mean=tuple(normalisation["mean"]),
        std=tuple(normalisation["std"]),
        tile_size=tile,
        overlap=overlap,
        network=network,
        width=float(state["network"]["width"]),
        accuracy={"data": str(measured_on), **_accuracy(state)},
        **given,
    )


def _accuracy(state: dict[str, Any]) -> dict[str, Any]:
    shares = {
        name: None if math.isnan(value) else float(value) for name, value in state["iou"].items()
    }
    return {
        "overall_accuracy": float(state["overall_accuracy"]),
        "mean_iou": float(state["mean_iou"]),
        "iou": shares,
        "confusion": state["confusion"],
    }


def _sample(work: Path, config: TrainingConfig, value_range: tuple[float, float]) -> Tensor:
    """Windows of two validation scenes in 0-1, [2, bands, H, W]."""
    _, validation = scenes_of(config, work)
    chosen = [validation[0], validation[len(validation) // 2]]
    rows, cols = (
        min(SAMPLE_SIZE, *(each.labels.shape[axis] for each in chosen)) for axis in (0, 1)
    )
    low, high = value_range
    windows = np.stack([_middle(each, rows, cols) for each in chosen])
    return torch.from_numpy((windows - np.float32(low)) / np.float32(high - low)).clamp(0, 1)


def _middle(scene: Scene, rows: int, cols: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    top, left = (scene.labels.shape[0] - rows) // 2, (scene.labels.shape[1] - cols) // 2
    return np.array(scene.pixels[:, top : top + rows, left : left + cols], dtype=np.float32)
