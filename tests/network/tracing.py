"""What a network really does, written down as rows of a layer table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from scasnet_qgis.network.scasnet import Interp, ScasNet, ScasNetConfig, Sum
from tests.training.caffe.published import IMAGE, Row

TYPES: dict[type[nn.Module], str] = {
    nn.Conv2d: "Convolution",
    nn.BatchNorm2d: "BN",
    nn.ReLU: "ReLU",
    nn.MaxPool2d: "Pooling",
    nn.Dropout: "Dropout",
    Sum: "Eltwise",
    Interp: "Interp",
}
IN_PLACE = {"BN", "ReLU", "Dropout"}


@dataclass
class Trace:
    """Layers in order of execution, and the newest map under each name.

    Caffe works in place: once a ReLU has run, the map before it is gone. A layer that took such
    a map, or one that no layer made, is given the input ``?``.
    """

    rows: list[Row] = field(default_factory=list)
    maps: dict[str, Tensor] = field(default_factory=dict)

    def name_of(self, features: Tensor) -> str:
        return next((name for name, known in self.maps.items() if known is features), "?")

    def record(self, name: str, layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        """A forward hook, once ``name`` is bound."""
        kind = TYPES.get(type(layer), type(layer).__name__)
        # Of its second input, a resize takes but the size.
        used = inputs[:1] if kind == "Interp" else inputs
        bottoms = tuple(self.name_of(tensor) for tensor in used)
        top = bottoms[0] if kind in IN_PLACE else name
        self.rows.append(Row(name, kind, bottoms, top, **_settings(layer, out)))
        self.maps[top] = out


def trace(network: nn.Module, image: Tensor) -> tuple[Trace, Tensor]:
    """Run ``network`` on ``image``: the trace and the result."""
    seen = Trace(maps={IMAGE: image})
    hooks = [
        layer.register_forward_hook(partial(seen.record, name.rsplit(".", 1)[-1]))
        for name, layer in network.named_modules()
        if not list(layer.children())
    ]
    with torch.no_grad():
        scores = network(image)
    for hook in hooks:
        hook.remove()
    return seen, scores


def trace_shapes(config: ScasNetConfig, rows: int, cols: int) -> tuple[Trace, Tensor]:
    """The trace of a network without weights on an image without pixels: shapes and wiring."""
    with torch.device("meta"):
        network = ScasNet(config).eval()
        return trace(network, torch.empty(1, config.bands, rows, cols))


def _settings(layer: nn.Module, out: Tensor) -> dict[str, Any]:
    if isinstance(layer, nn.Conv2d):
        assert layer.groups == 1
        assert layer.padding_mode == "zeros"
        return {
            "num_output": layer.out_channels,
            "kernel": _alike(layer.kernel_size),
            "stride": _alike(layer.stride),
            "pad": _alike(layer.padding),
            "dilation": _alike(layer.dilation),
            "bias": layer.bias is not None,
        }
    if isinstance(layer, nn.MaxPool2d):
        assert _alike(layer.dilation) == 1
        window = (layer.kernel_size, layer.stride, layer.padding)
        return dict(zip(("kernel", "stride", "pad"), map(_alike, window)), note="MAX")
    if isinstance(layer, Sum):
        return {"note": "SUM"}
    if isinstance(layer, nn.Dropout):
        return {"note": f"{layer.p:g}"}
    if isinstance(layer, Interp):
        return {"note": "x".join(str(extent) for extent in out.shape[-2:])}
    return {}


def _alike(value: Any) -> int:
    """The one number that stands for both axes."""
    first, second = value if isinstance(value, tuple) else (value, value)
    assert first == second
    return int(first)
