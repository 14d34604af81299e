"""The network is the published one, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scasnet_qgis.network.scasnet import Interp, ScasNet, ScasNetConfig, Sum, published_layers
from tests.training.caffe.published import (
    IMAGE,
    IMAGE_SIZE,
    VARIANTS,
    Row,
    extents,
    parameter_count,
    read_table,
    scaled,
)

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


WIDTHS = (0.02, 0.25, 1.5)

variants = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture(scope="module", params=VARIANTS)
def published(request: pytest.FixtureRequest) -> tuple[list[Row], Trace]:
    """A table, and the trace of the network as it was published."""
    found, scores = trace_shapes(ScasNetConfig(request.param), IMAGE_SIZE, IMAGE_SIZE)
    assert scores is found.maps["conv6_interp"]
    return read_table(request.param), found


def test_the_tables_are_whole() -> None:
    assert [len(read_table(variant)) for variant in VARIANTS] == [116, 486]


def test_every_layer_is_the_published_one_in_its_order(published: tuple[list[Row], Trace]) -> None:
    rows, found = published
    assert found.rows == [replace(row, lr_mult=None) for row in rows]


def test_every_map_has_the_size_caffe_gives_it(published: tuple[list[Row], Trace]) -> None:
    rows, found = published
    expected = {name: (extent, extent) for name, extent in extents(rows, IMAGE_SIZE).items()}
    assert {name: tuple(features.shape[-2:]) for name, features in found.maps.items()} == expected


@pytest.mark.parametrize(
    ("variant", "maps", "expected"),
    [
        ("vgg", ("conv1_2", "pool1", "pool2", "pool3", "pool5"), (400, 201, 101, 51, 51)),
        ("resnet", ("conv1_3_3x3", "conv2_3", "conv3_4", "pool5"), (200, 101, 51, 51)),
    ],
)
def test_feature_maps_have_the_published_sizes(
    variant: str, maps: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    found, _ = trace_shapes(ScasNetConfig(variant, width=0.02), IMAGE_SIZE, IMAGE_SIZE)
    assert tuple(found.maps[name].shape[-1] for name in maps) == expected


@variants
@pytest.mark.parametrize(("rows", "cols"), [(133, 250), (64, 65), (66, 67), (3, 2)])
def test_sizes_follow_caffe_for_any_image(variant: str, rows: int, cols: int) -> None:
    found, _ = trace_shapes(ScasNetConfig(variant, width=0.02), rows, cols)
    table = read_table(variant)
    heights, widths = extents(table, rows), extents(table, cols)
    expected = {name: (heights[name], widths[name]) for name in heights}
    assert {name: tuple(features.shape[-2:]) for name, features in found.maps.items()} == expected


@variants
@pytest.mark.parametrize("width", WIDTHS)
def test_width_scales_every_layer(variant: str, width: float) -> None:
    found, scores = trace_shapes(ScasNetConfig(variant, 5, 2, width), 64, 64)
    ours = {row.name: row.num_output for row in found.rows}
    expected = scaled(read_table(variant), width, 2)
    assert ours == {row.name: row.num_output for row in expected}
    assert found.maps[IMAGE].shape[1] == 5
    assert scores.shape == (1, 2, 64, 64)


@variants
@pytest.mark.parametrize(("bands", "classes", "width"), [(3, 6, 1.0), (1, 1, 0.25), (8, 11, 0.5)])
def test_number_of_weights(variant: str, bands: int, classes: int, width: float) -> None:
    with torch.device("meta"):
        network = ScasNet(ScasNetConfig(variant, bands, classes, width))
    rows = scaled(read_table(variant), width, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameter_count(
        rows, bands
    )


def test_the_vgg_encoder_is_as_large_as_vgg16() -> None:
    with torch.device("meta"):
        encoder = ScasNet(ScasNetConfig("vgg")).encoder
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 14_714_688


def test_layers_with_a_learning_rate_of_their_own_are_the_head() -> None:
    with torch.device("meta"):
        head = ScasNet(ScasNetConfig("vgg")).head
    trained = [name for name, layer in published_layers(head).items() if list(layer.parameters())]
    assert {row.name: row.lr_mult for row in read_table("vgg") if row.lr_mult is not None} == (
        dict.fromkeys(trained, 20.0)
    )
    assert not any(row.lr_mult for row in read_table("resnet"))


def test_batch_norm_is_the_published_one() -> None:
    with torch.device("meta"):
        network = ScasNet(ScasNetConfig("resnet"))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum, norm.affine) for norm in norms} == {(1e-5, 0.1, True)}


def test_resize_aligns_corners() -> None:
    wave = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    resized = Interp()(wave, torch.empty(1, 1, 5, 3))
    assert torch.allclose(resized[0, 0, :, 0], torch.tensor([0.0, 2.0, 4.0, 6.0, 8.0]))
    assert torch.allclose(resized[0, 0, 0], torch.tensor([0.0, 2.0, 4.0]))
