"""What a training starts from: a trained ScasNet, published encoder weights, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scasnet_qgis import paths
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.network.encoders import VggEncoder
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.network.slimming import slim_vgg
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.caffe.weights import EncoderWeights, load_encoder, read_encoder
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import Scene
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.settings.parsing import DEFAULT_MODEL, NOTHING
from scasnet_qgis.training.weights import (
    Trained,
    checkpoint_folder,
    read_checkpoint,
    read_model,
    take_over,
)

WINDOW = 256
WINDOWS = 28
_TRIES = 8  # places looked at for a window full of data


@dataclass(frozen=True)
class Start:
    """Whether the encoder knows something already, and a sentence for the log."""

    encoder_knows: bool
    sentence: Message


def start(
    network: ScasNet, config: TrainingConfig, scenes: list[Scene], normalisation: Normalisation
) -> Start:
    """Set the network's weights as START_FROM says.

    Raises SettingError or ModelError where the network does not fit what it is to start from.
    """
    if config.start_from == DEFAULT_MODEL:
        return _from_shipped(network, config)
    if config.start_from == NOTHING:
        return Start(
            False, message(translate("ScasNet", "The training starts with random weights."))
        )
    path = config.path(config.start_from)
    if not path.exists():
        text = translate("ScasNet", "{path} does not exist: choose another file to start from.")
        raise SettingError(text, path=path)
    folder = checkpoint_folder(path)
    if folder is not None:
        return _from_trained(network, config, read_checkpoint(folder), path)
    if path.suffix.lower() == ".onnx":
        return _from_trained(network, config, read_model(path), path)
    return _from_encoder(network, config, scenes, normalisation, path)


def _from_shipped(network: ScasNet, config: TrainingConfig) -> Start:
    path = paths.default_model()
    trained = read_model(path)
    same = (trained.network.variant, trained.network.width) == (config.encoder, config.width)
    if same and list(trained.bands) == config.bands:
        return _from_trained(network, config, trained, path)
    text = translate(
        "ScasNet",
        "The built-in model has another network or other bands: the training starts with random "
        "weights.",
    )
    return Start(False, message(text))


def _from_trained(network: ScasNet, config: TrainingConfig, trained: Trained, path: Path) -> Start:
    if (trained.network.variant, trained.network.width) != (config.encoder, config.width):
        text = translate(
            "ScasNet",
            "{name} is a {variant} network of width {width:g}, not a {wanted} network of width "
            "{wanted_width:g}: choose the same network, or start from nothing.",
        )
        raise SettingError(
            text,
            name=path.name,
            variant=trained.network.variant,
            width=trained.network.width,
            wanted=config.encoder,
            wanted_width=config.width,
        )
    fresh = take_over(network, config.bands, config.class_names, trained)
    if fresh:
        text = translate(
            "ScasNet", "The training starts from {name}, which does not know the classes {classes}."
        )
        return Start(True, message(text, name=path.name, classes=", ".join(fresh)))
    return Start(
        True, message(translate("ScasNet", "The training starts from {name}."), name=path.name)
    )


def _from_encoder(
    network: ScasNet,
    config: TrainingConfig,
    scenes: list[Scene],
    normalisation: Normalisation,
    path: Path,
) -> Start:
    """From the weights of a published encoder, slimmed where the network is narrower."""
    weights = read_encoder(path)
    if weights.network != config.encoder:
        text = translate(
            "ScasNet",
            "{name} holds the encoder of a {found} network, not of a {wanted} network: choose the "
            "other network or other weights.",
        )
        raise SettingError(text, name=path.name, found=weights.network, wanted=config.encoder)
    if len(config.bands) < 3:
        text = translate(
            "ScasNet",
            "Published weights need images with red, green and blue as the first three bands: "
            "choose at least three bands, or start from nothing.",
        )
        raise SettingError(text)
    if config.width == 1.0:
        load_encoder(network, weights, normalisation.mean, normalisation.std)
    else:
        _slim(network, weights, config, scenes, normalisation)
    text = translate("ScasNet", "The encoder starts from {name}.")
    return Start(True, message(text, name=path.name))


def _slim(
    network: ScasNet,
    weights: EncoderWeights,
    config: TrainingConfig,
    scenes: list[Scene],
    normalisation: Normalisation,
) -> None:
    if not isinstance(network.encoder, VggEncoder):
        text = translate(
            "ScasNet",
            "A narrow ResNet cannot start from published weights: use width 1, or start from "
            "nothing.",
        )
        raise SettingError(text)
    pairs = image_pairs(scenes, weights, normalisation, config.seed)
    slim_vgg(network.encoder, weights.layers, pairs, config.seed)


def image_pairs(
    scenes: list[Scene], weights: EncoderWeights, normalisation: Normalisation, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Windows of the scenes, each [1, bands, H, W], as a narrow and the published encoder see them.

    Pixels without data hold the mean.
    """
    generator = np.random.default_rng(seed)
    pairs: list[tuple[Tensor, Tensor]] = []
    for index in range(WINDOWS):
        scene = scenes[index * len(scenes) // WINDOWS]
        pixels, valid = scene.part(scene.fullest(_drawn_windows(scene, generator)))
        scaled = normalisation.scale(torch.from_numpy(pixels)[None], torch.from_numpy(valid)[None])
        narrow = normalisation.standardise(scaled)
        pairs.append((narrow, published_input(scaled, weights)))
    return pairs


def _drawn_windows(scene: Scene, generator: np.random.Generator) -> Iterator[Window]:
    """A few windows anywhere in the scene, to take the one with the most data."""
    rows, cols = scene.labels.shape
    for _ in range(_TRIES):
        top = int(generator.integers(max(rows - WINDOW, 0) + 1))
        left = int(generator.integers(max(cols - WINDOW, 0) + 1))
        yield Window(top, left, min(WINDOW, rows), min(WINDOW, cols))


def published_input(scaled: Tensor, weights: EncoderWeights) -> Tensor:
    """Images of 0-1 as the published Caffe models want them: blue, green, red in 0-255."""
    mean = torch.tensor(weights.mean_bgr).view(1, 3, 1, 1)
    return (255.0 * scaled[:, :3].flip(1) - mean) * weights.scale
