"""What a training starts from: a trained ScasNet, published encoder weights, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scasnet_qgis import paths
from scasnet_qgis.common.errors import ModelError, SettingError, TrainingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig, VggEncoder, published_layers
from scasnet_qgis.network.slimming import slim_vgg
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.caffe.layer_names import target_layers
from scasnet_qgis.training.caffe.weights import EncoderWeights, load_encoder, read_encoder
from scasnet_qgis.training.checkpoint import Checkpoint, checkpoint_folder
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import Scene
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.settings.parsing import DEFAULT_MODEL, NOTHING

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
            "ScasNet", "The training starts from {name}, which lacks the classes {classes}."
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
            "{name} has the encoder of a {found} network, not of a {wanted} network: choose the "
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


CLASSIFIER = "head.conv6_funetuning_fpn"
_FIRST = re.compile(r"^encoder\..*\.conv1_1[^.]*\.weight$")


@dataclass(frozen=True)
class Trained:
    """A ScasNet with its weights, by their names in the network, and what they stand for."""

    network: ScasNetConfig
    weights: Mapping[str, Tensor]
    bands: tuple[str, ...]
    classes: tuple[str, ...]


def read_checkpoint(folder: Path) -> Trained:
    """The averaged network of a checkpoint; TrainingError where it is damaged or too old."""
    saved = Checkpoint.load(folder)
    if saved is None or "network" not in saved.state:
        raise TrainingError(
            translate("ScasNet", "{folder} has no ScasNet checkpoint."), folder=folder
        )
    weights = saved.group("mean") or saved.group("model")
    try:
        shape = ScasNetConfig(**saved.state["network"])
        bands, classes = (tuple(map(str, saved.state[key])) for key in ("bands", "classes"))
        if (len(bands), len(classes)) != (shape.bands, shape.classes):
            raise ValueError(f"{len(bands)} bands and {len(classes)} classes")
    except (KeyError, TypeError, ValueError) as error:
        text = translate(
            "ScasNet",
            "The checkpoint {folder} was made by another version of this plugin, or it is damaged: "
            "start from the model file of that training instead.",
        )
        raise TrainingError(text, f"{type(error).__name__}: {error}", folder=folder) from error
    return Trained(shape, weights, bands, classes)


def read_model(path: Path) -> Trained:
    """The weights of a model file that this plugin wrote in full precision.

    Raises ModelError where the graph is not that of a ScasNet.
    """
    import onnx

    from scasnet_qgis.models.model_file import inspect
    from scasnet_qgis.models.onnx_proto import contents

    card = inspect(path).card
    variant = card.network.split(" ")[0].lower()
    if variant not in ("vgg", "resnet") or card.width is None:
        raise _foreign(path)
    shape = ScasNetConfig(variant, len(card.bands), len(card.classes), card.width)
    # A card may claim any width, and the network of that takes memory before it is filled.
    kernels = sum(
        math.prod(target.shapes[0]) for target in target_layers(shape).values() if not target.norm
    )
    if contents(path).weights < kernels:
        raise _foreign(path, f"fewer than {kernels} weights")
    network = ScasNet(shape)
    try:
        _fill(network, onnx.load(str(path)), path)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise _foreign(path, str(error)) from error
    return Trained(shape, network.state_dict(), card.bands, tuple(card.class_names))


def _fill(network: ScasNet, model: Any, path: Path) -> None:
    """Set the layers' weights from the graph's convolutions, which bear the layers' names."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    copies = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type in ("Identity", "Cast")
    }
    found: dict[str, list[Tensor]] = {}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        sources = [_origin(name, copies) for name in node.input[1:]]
        if all(name in tensors for name in sources):
            arrays = [numpy_helper.to_array(tensors[name]) for name in sources]
            layer = node.name.rsplit("/", 2)[-2] if node.name.count("/") > 1 else node.name
            found[layer] = [torch.from_numpy(np.array(array, dtype=np.float32)) for array in arrays]
    layers = published_layers(network)
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            _set(layer, layers.get(f"{name}/bn"), *found.pop(name))
    if found:
        raise _foreign(path, ", ".join(found))


def _origin(name: str, copies: Mapping[str, str]) -> str:
    while name in copies:
        name = copies[name]
    return name


def _set(layer: nn.Conv2d, norm: nn.Module | None, weight: Tensor, bias: Tensor) -> None:
    """Weights into a convolution; an exported file holds it with its batch norm folded in."""
    if layer.weight.shape != weight.shape:
        raise RuntimeError(f"{tuple(weight.shape)} instead of {tuple(layer.weight.shape)}")
    with torch.no_grad():
        layer.weight.copy_(weight)
        if isinstance(norm, nn.BatchNorm2d):
            # What follows is the identity but for the shift, which is the folded bias.
            norm.running_mean.zero_()  # type: ignore[union-attr]
            norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
            norm.weight.fill_(1.0)
            if layer.bias is not None:
                layer.bias.zero_()
            norm.bias.copy_(bias)
        elif layer.bias is not None:
            layer.bias.copy_(bias)


def _foreign(path: Path, detail: str = "") -> ModelError:
    text = translate(
        "ScasNet",
        "A training cannot start from {name}: it is not a ScasNet model in single precision "
        "(fp32). Choose another model, or write nothing.",
    )
    return ModelError(text, detail, name=path.name)


def take_over(network: ScasNet, bands: list[str], classes: list[str], start: Trained) -> list[str]:
    """Copy the weights of ``start``; returns the classes whose scores were learned anew.

    A band or a class of the same name keeps its weights. Bands that ``start`` does not know get
    the mean of those it knows, scaled so that the sum over the bands stays; classes that it does
    not know start from random weights. Raises TrainingError where the weights are those of
    another network than they say.
    """
    try:
        return _taken_over(network, bands, classes, start)
    except (KeyError, IndexError, RuntimeError) as error:  # missing, or of another shape
        text = translate(
            "ScasNet",
            "The weights to start from do not fit the network that they name: choose another file, "
            "or write nothing.",
        )
        raise TrainingError(text, f"{type(error).__name__}: {error}"[:1000]) from error


def _taken_over(
    network: ScasNet, bands: list[str], classes: list[str], start: Trained
) -> list[str]:
    own = network.state_dict()
    taken = {key: tensor for key, tensor in start.weights.items() if key in own}
    for key in [name for name, value in taken.items() if _FIRST.match(name) and value.dim() == 4]:
        taken[key] = _bands(taken[key], list(start.bands), bands)
    fresh = [name for name in classes if name not in start.classes]
    for part in ("weight", "bias"):
        key = f"{CLASSIFIER}.{part}"
        rows = own[key].clone()
        if taken[key].shape != (len(start.classes), *rows.shape[1:]):
            raise RuntimeError(f"{key} has the shape {tuple(taken[key].shape)}")
        for index, name in enumerate(classes):
            if name in start.classes:
                rows[index] = taken[key][start.classes.index(name)]
        taken[key] = rows
    network.load_state_dict({**own, **taken})
    return fresh


def _bands(kernels: Tensor, known: list[str], wanted: list[str]) -> Tensor:
    """First-layer kernels [out, bands, 3, 3] for other bands."""
    if known == wanted:
        return kernels
    mean = kernels.mean(dim=1)
    parts = [kernels[:, known.index(name)] if name in known else mean for name in wanted]
    return torch.stack(parts, dim=1) * (len(known) / len(wanted))
