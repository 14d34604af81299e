"""A checkpoint as a model file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.network.onnx_export import export
from scasnet_qgis.network.scasnet import NETWORK_NAMES, ScasNet, ScasNetConfig
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import Scene
from scasnet_qgis.training.settings.config import TrainingConfig, tile_of

SAMPLE_SIZE = 512  # pixels
# What the settings may say under "card"; the rest follows from the run.
CARD_KEYS = (
    "name", "description", "licence", "attribution", "training_data", "accuracy_data",
    "resolution", "tile_size", "overlap",
)  # fmt: skip


def export_checkpoint(saved: Checkpoint, output: Path, sample: Tensor, progress: Progress) -> float:
    """Write the network of a checkpoint to ``output``, checked on ``sample`` as by ``export``.

    Returns the largest difference of a probability, which the log tells too.

    Raises SettingError where the settings' card does not fit, ModelError where the check fails,
    OutputError where the file cannot be written.
    """
    card = build_card(saved.state)
    difference = export(network_of(saved), card, output, sample=sample)
    text = translate("ScasNet", "The model file differs from the network by at most {value}.")
    progress.info(message(text, value=f"{difference:.1e}"))
    return difference


def network_of(saved: Checkpoint) -> ScasNet:
    """The network of a checkpoint; of one of a running training, the averaged one."""
    network = ScasNet(ScasNetConfig(**saved.state["network"]))
    network.load_state_dict(saved.group("mean") or saved.group("model"))
    return network.eval()


def build_card(state: dict[str, Any]) -> ModelCard:
    """The card of the network whose checkpoint has the state ``state``."""
    config, facts = TrainingConfig.of(state["config"]), state["facts"]
    given = dict(config.card)
    unknown = sorted(set(given) - set(CARD_KEYS))
    if unknown:
        text = translate("ScasNet", "The card in the training settings has unknown keys: {names}.")
        raise SettingError(text, names=", ".join(unknown))
    measured_on = given.pop("accuracy_data", facts["validation_data"])
    network = NETWORK_NAMES[config.encoder]
    tile, overlap = tile_of(config)
    normalisation = state["normalisation"]
    return ModelCard(
        name=str(given.pop("name", "") or network),
        classes=tuple(
            ModelClass(str(entry["name"]), str(entry["color"])) for entry in config.classes
        ),
        bands=tuple(config.bands),
        value_range=tuple(normalisation["value_range"]),
        mean=tuple(normalisation["mean"]),
        std=tuple(normalisation["std"]),
        network=network,
        width=config.width,
        accuracy={"data": str(measured_on), **_accuracy(state)} if "mean_iou" in state else {},
        **{
            **{key: facts[key] for key in ("resolution", "training_data")},
            **given,
            "tile_size": tile,
            "overlap": overlap,
        },
    )


def _accuracy(state: dict[str, Any]) -> dict[str, Any]:
    return {key: state[key] for key in ("overall_accuracy", "mean_iou", "iou", "confusion")}


def sample_of(scenes: list[Scene], state: dict[str, Any]) -> Tensor:
    """Windows of two scenes in 0-1, [2, bands, H, W]: from their middle, or where there are data.

    Pixels without data hold the mean, as when a map is made.
    """
    chosen = [scenes[0], scenes[len(scenes) // 2]]
    rows, cols = (
        min(SAMPLE_SIZE, *(scene.labels.shape[axis] for scene in chosen)) for axis in (0, 1)
    )
    facts = state["normalisation"]  # lists, where it comes from a file
    normalisation = Normalisation(**{key: tuple(values) for key, values in facts.items()})
    parts = [scene.part(scene.fullest(_windows(scene, rows, cols))) for scene in chosen]
    pixels, valid = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts))
    return normalisation.scale(pixels, valid)


def _windows(scene: Scene, rows: int, cols: int) -> Iterator[Window]:
    """The middle of the scene, then windows side by side."""
    high, wide = scene.labels.shape
    yield Window((high - rows) // 2, (wide - cols) // 2, rows, cols)
    for top in range(0, high - rows + 1, rows):
        for left in range(0, wide - cols + 1, cols):
            yield Window(top, left, rows, cols)
