"""Matches the layers of a Caffe file to those of ScasNet by name, and tells what is left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.network.scasnet import VARIANTS, ScasNet, ScasNetConfig, published_layers
from scasnet_qgis.training.caffe.container import CaffeLayer

Shape = tuple[int, ...]

FIRST_CONVOLUTION = {"vgg": "conv1_1", "resnet": "conv1_1_3x3_s2"}
_WIDEST = {"vgg": ("conv5_3", 512), "resnet": ("conv5_3_1x1_increase", 2048)}
_CLASSIFIER = "conv6_funetuning_fpn"


@dataclass(frozen=True)
class TargetLayer:
    """A layer of ScasNet with weights: kernel and bias of a convolution, or weight, bias, mean and
    variance of a batch norm, as in PyTorch."""

    name: str
    shapes: tuple[Shape, ...]
    norm: bool
    in_encoder: bool


@dataclass(frozen=True)
class LayerMatch:
    """A layer of ScasNet, and those of the file with its weights: one, or BatchNorm and Scale."""

    target: TargetLayer
    sources: tuple[CaffeLayer, ...]


@dataclass(frozen=True)
class LayerMapping:
    """Which layers of a Caffe file are which ones in the ScasNet of ``config``.

    ``unused`` are the file's other layers, each with the reason; ``missing`` are the layers of
    ScasNet that get no weights.
    """

    config: ScasNetConfig
    pairs: tuple[LayerMatch, ...]
    unused: tuple[tuple[CaffeLayer, Message], ...]
    missing: tuple[TargetLayer, ...]

    @property
    def encoder_matches(self) -> list[LayerMatch]:
        return [pair for pair in self.pairs if pair.target.in_encoder]

    @property
    def missing_encoder_layers(self) -> list[str]:
        return [target.name for target in self.missing if target.in_encoder]


def match(layers: Sequence[CaffeLayer], variant: str | None = None) -> LayerMapping:
    """Match layers to those of the ScasNet ``variant``, by default detected from their names.

    Raises ModelError where the file has no layer of either network.
    """
    named = {layer.name: layer for layer in layers}
    config = _config(named, variant or detect(list(named)))
    pairs, missing, reasons = [], [], dict[str, Message]()
    for target in target_layers(config).values():
        layer = named.get(target.name)
        found = _sources(target, layer, named) if layer else None
        if isinstance(found, tuple):
            pairs.append(LayerMatch(target, found))
            continue
        missing.append(target)
        if found is not None:
            reasons[target.name] = found
    used = {source.name for pair in pairs for source in pair.sources}
    text = translate("ScasNet", "{layer} ({shapes}): ScasNet has no such layer")
    unused = tuple(
        (layer, reasons.get(layer.name) or message(text, **layer_values(layer)))
        for layer in layers
        if layer.name not in used
    )
    return LayerMapping(config, tuple(pairs), unused, tuple(missing))


def detect(names: Sequence[str]) -> str:
    """The variant of ScasNet whose encoder has most of the layers called ``names``."""
    counts = {
        variant: sum(
            target.in_encoder and target.name in names
            for target in target_layers(ScasNetConfig(variant)).values()
        )
        for variant in VARIANTS
    }
    best = max(VARIANTS, key=lambda variant: counts[variant])
    if not counts[best]:
        text = translate(
            "ScasNet",
            "The Caffe file has no layer of VGG16 (conv1_1 ...) or of PSPNet's ResNet-101 "
            "(conv1_1_3x3_s2 ...): only these can be imported.",
        )
        raise ModelError(text)
    return best


class _NoInitialisation(TorchFunctionMode):
    """Leaves the weights of new layers uninitialised.

    To draw random numbers on the meta device, PyTorch would load its compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is Tensor.normal_:
            return args[0]
        return function(*args, **(kwargs or {}))


def target_layers(config: ScasNetConfig) -> dict[str, TargetLayer]:
    """All layers of a ScasNet that have weights, by their published names."""
    with torch.device("meta"), _NoInitialisation():  # shapes only
        network = ScasNet(config)
    encoder = published_layers(network.encoder)
    found = {}
    for name, layer in published_layers(network).items():
        shapes: list[Shape]
        if isinstance(layer, nn.Conv2d):
            shapes = [
                tuple(array.shape) for array in (layer.weight, layer.bias) if array is not None
            ]
        elif isinstance(layer, nn.BatchNorm2d):
            shapes = [(layer.num_features,) for _ in range(4)]
        else:
            continue
        norm = isinstance(layer, nn.BatchNorm2d)
        found[name] = TargetLayer(name, tuple(shapes), norm, name in encoder)
    return found


def _config(named: Mapping[str, CaffeLayer], variant: str) -> ScasNetConfig:
    """The configuration of the file's network; what its shapes do not tell is as published."""
    widest, published = _WIDEST[variant]
    width = _kernel_shape(named, widest)[0] / published
    bands = _kernel_shape(named, FIRST_CONVOLUTION[variant])[1]
    classes = _kernel_shape(named, _CLASSIFIER)[0]
    return ScasNetConfig(variant, bands or 3, classes or 6, width if 0 < width <= 4 else 1.0)


def _kernel_shape(named: Mapping[str, CaffeLayer], name: str) -> Shape:
    shapes = named[name].shapes if name in named else []
    # A shape with a 0 has no elements, so its other numbers may be anything.
    return shapes[0] if shapes and len(shapes[0]) == 4 and all(shapes[0]) else (0, 0, 0, 0)


def _sources(
    target: TargetLayer, layer: CaffeLayer, named: Mapping[str, CaffeLayer]
) -> tuple[CaffeLayer, ...] | Message:
    """The layers with the weights of ``target``, called as ``layer`` is, or why they do not fit."""
    sources: tuple[CaffeLayer, ...] = (layer,)
    if target.norm and len(layer.blobs) == 3:
        scale = _scale_of(layer, named)
        if scale is None:
            text = translate("ScasNet", "{layer} ({shapes}): its Scale layer is missing")
            return message(text, **layer_values(layer))
        sources = (layer, scale)
    if _fits(target, sources):
        return sources
    text = translate("ScasNet", "{layer} ({shapes}): ScasNet's has another shape, {wanted}")
    return message(text, **layer_values(layer), wanted=format_shapes(target.shapes))


def _scale_of(norm: CaffeLayer, named: Mapping[str, CaffeLayer]) -> CaffeLayer | None:
    """The Scale layer after a BatchNorm, by its usual names or by the blob that both share."""
    for name in (f"{norm.name}/scale", f"{norm.name.rsplit('/', 1)[0]}/scale"):
        if name in named:
            return named[name]
    fed = (layer for layer in named.values() if layer.type == "Scale" and norm.tops[:1])
    return next((layer for layer in fed if layer.bottoms[:1] == norm.tops[:1]), None)


def _fits(target: TargetLayer, sources: Sequence[CaffeLayer]) -> bool:
    found = [shape for source in sources for shape in source.shapes]
    if not target.norm:
        # Older files hold a bias as 1 x 1 x 1 x C.
        return found[:1] == [*target.shapes[:1]] and _sizes(found) == _sizes(target.shapes)
    channels = target.shapes[0][0]
    wanted = 4 * [channels] if len(sources) == 1 else [channels, channels, 1, channels, channels]
    return _sizes(found) == wanted


def _sizes(shapes: Sequence[Shape]) -> list[int]:
    return [math.prod(shape) for shape in shapes]


def layer_values(layer: CaffeLayer) -> dict[str, str]:
    """Name and shapes of a layer as values of a Message, safe to show."""
    return {"layer": clean_name(layer.name), "shapes": format_shapes(layer.shapes)}


def format_shapes(shapes: Sequence[Shape]) -> str:
    """Shapes as people write them: 64 x 3 x 3 x 3, 64."""
    return ", ".join(" x ".join(map(str, shape)) for shape in shapes)
