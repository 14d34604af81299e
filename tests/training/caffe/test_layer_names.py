"""Layers of a Caffe file find their target_layers in ScasNet, and those that do not are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.caffe.container import CaffeFile, CaffeLayer
from scasnet_qgis.training.caffe.layer_names import LayerMapping, match, target_layers
from scasnet_qgis.training.caffe.weights import read_arrays
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe import wire
from tests.training.caffe.description import caffemodel, old_caffemodel, pspnet_caffemodel
from tests.training.caffe.published import VARIANTS, read_table

WIDTH = 0.0625  # exact for every layer
WRITERS = {"vgg": old_caffemodel, "resnet": pspnet_caffemodel}

Weights = dict[str, list[torch.Tensor]]


def random_weights(variant: str, bands: int = 3, classes: int = 5) -> Weights:
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, bands, classes, WIDTH))
    randomise(network, torch.randn(1, bands, 72, 72))
    return weights_by_name(network)


@pytest.fixture(scope="module")
def weights() -> dict[str, Weights]:
    return {variant: random_weights(variant) for variant in VARIANTS}


def layers_of(folder: Path, content: bytes) -> tuple[CaffeLayer, ...]:
    path = folder / "weights.caffemodel"
    path.write_bytes(content)
    return CaffeFile(path).layers


def reasons(found: LayerMapping) -> dict[str, str]:
    return {layer.name: str(line) for layer, line in found.unused}


def test_homes_are_the_layers_with_weights_of_the_tables() -> None:
    for variant in VARIANTS:
        rows = [row for row in read_table(variant) if row.type in ("Convolution", "BN")]
        found = target_layers(ScasNetConfig(variant))
        assert set(found) == {row.name for row in rows}
        assert {name for name, target in found.items() if target.norm} == {
            row.name for row in rows if row.type == "BN"
        }
        assert found["conv6_funetuning_fpn"].shapes == ((6, 256, 1, 1), (6,))
    encoder = [
        name for name, target in target_layers(ScasNetConfig("vgg")).items() if target.in_encoder
    ]
    assert len(encoder) == 13
    assert (encoder[0], encoder[-1]) == ("conv1_1", "conv5_3")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_file_matches_and_tells_its_network(
    tmp_path: Path, weights: dict[str, Weights], variant: str
) -> None:
    content = WRITERS[variant](read_table(variant), weights[variant])
    found = match(layers_of(tmp_path, content))
    assert found.config == ScasNetConfig(variant, 3, 5, WIDTH)
    assert {pair.target.name for pair in found.pairs} == set(weights[variant])
    assert (found.unused, found.missing) == ((), ())


@pytest.mark.parametrize("names", ["{norm}/scale", "{convolution}/scale", "something else"])
def test_a_batch_norm_of_the_common_caffe_is_that_of_pspnet(
    tmp_path: Path, weights: dict[str, Weights], names: str
) -> None:
    table, content = read_table("resnet"), wire.chunk(1, "ScasNet")
    for row in table:
        arrays = [blob.numpy() for blob in weights["resnet"].get(row.name, [])]
        if row.type != "BN":
            content += wire.layer(row.name, row.type, [wire.blob(array) for array in arrays])
            continue
        slope, bias, mean, variance = arrays
        sums = [wire.blob(values) for values in (4 * mean, 4 * variance, np.float32([4]))]
        scale = names.format(norm=row.name, convolution=row.top)
        scale = row.top + " and then" if scale == names else scale
        content += wire.layer(row.name, "BatchNorm", sums, fed=row.top, feeds=row.top)
        rest = [wire.blob(slope), wire.blob(bias)]
        content += wire.layer(scale, "Scale", rest, fed=row.top, feeds=row.top)
    found = match(layers_of(tmp_path, content))
    assert (found.unused, found.missing) == ((), ())
    file = CaffeFile(tmp_path / "weights.caffemodel")
    for pair in found.pairs:
        for ours, theirs in zip(read_arrays(file, pair), weights["resnet"][pair.target.name]):
            assert np.array_equal(ours, theirs.numpy())


def test_a_batch_norm_without_its_scale_has_no_home(tmp_path: Path) -> None:
    norm = [wire.blob(np.ones(size, np.float32)) for size in (64, 64, 1)]
    kernel = wire.blob(np.zeros((64, 3, 3, 3), np.float32))
    content = wire.layer("conv1_1_3x3_s2", "Convolution", [kernel])
    content += wire.layer("conv1_1_3x3_s2/bn", "BatchNorm", norm)
    found = match(layers_of(tmp_path, content))
    assert [pair.target.name for pair in found.pairs] == ["conv1_1_3x3_s2"]
    assert "Scale layer is missing" in reasons(found)["conv1_1_3x3_s2/bn"]
    assert "conv1_1_3x3_s2/bn" in found.missing_encoder_layers


def test_what_does_not_match_is_told_both_ways(tmp_path: Path) -> None:
    bias = wire.blob(np.zeros(64, np.float32))
    wide = wire.blob(np.ones((64, 64, 5, 5), np.float32))
    content = wire.layer("data", "Data", [])
    content += wire.layer("conv1_1", "Convolution", [wire.blob(np.ones((64, 3, 3, 3), "f4")), bias])
    content += wire.layer("conv1_2", "Convolution", [wide, bias])
    content += wire.layer("fc7", "InnerProduct", [wire.blob(np.ones((7, 9), "f4"))])
    found = match(layers_of(tmp_path, content))
    assert [pair.target.name for pair in found.pairs] == ["conv1_1"]
    assert reasons(found) == {
        "conv1_2": "conv1_2 (64 x 64 x 5 x 5, 64): ScasNet's has another shape, "
        "64 x 64 x 3 x 3, 64",
        "fc7": "fc7 (7 x 9): ScasNet has no such layer",
    }
    assert found.missing_encoder_layers[:2] == ["conv1_2", "conv2_1"]
    assert {target.name for target in found.missing} == set(target_layers(ScasNetConfig())) - {
        "conv1_1"
    }


def test_a_file_cut_between_two_layers_lacks_the_rest(
    tmp_path: Path, weights: dict[str, Weights]
) -> None:
    table = read_table("vgg")
    most = [row for row in table if row.name != "conv6_funetuning_fpn"]
    found = match(layers_of(tmp_path, caffemodel(most, weights["vgg"])))
    assert [target.name for target in found.missing] == ["conv6_funetuning_fpn"]


def test_the_network_may_be_named(tmp_path: Path) -> None:
    content = wire.layer("conv1_1", "Convolution", [wire.blob(np.ones((64, 3, 3, 3), "f4"))])
    found = match(layers_of(tmp_path, content), "resnet")
    assert found.config.variant == "resnet"
    assert found.pairs == ()
    assert list(reasons(found)) == ["conv1_1"]


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    layers = layers_of(tmp_path, wire.layer("fc6_1", "x", [wire.blob(np.ones(3, np.float32))]))
    with pytest.raises(ModelError, match=r"no layer of VGG16 .* or of PSPNet's ResNet-101"):
        match(layers)


@pytest.mark.parametrize(
    "shape", [(), (1,), (2**20,), (1, 2**20, 1, 1), (2**20, 1, 1, 1), (0, 0, 0, 0), (1, 1, 1, 1)]
)
@pytest.mark.parametrize("name", ["conv1_1", "conv5_3", "conv6_funetuning_fpn"])
def test_odd_shapes_match_nothing_and_take_no_memory(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    odd = wire.layer(name, "Convolution", [wire.blob(np.zeros(shape, np.float32))])
    other = wire.layer("conv2_1", "Convolution", [wire.blob(np.zeros((2, 3), np.float32))])
    found = match(layers_of(tmp_path, odd + other))
    assert found.pairs == ()
    assert set(reasons(found)) == {name, "conv2_1"}


def test_names_that_are_markup_are_shown_as_text(tmp_path: Path) -> None:
    content = wire.layer("conv1_1", "x", [wire.blob(np.zeros(3, np.float32))])
    content += wire.layer("<b>{0}\n" + "x" * 200, "x", [wire.blob(np.zeros(3, np.float32))])
    line = str(match(layers_of(tmp_path, content)).unused[1][1])
    assert line.startswith("‹b›{0} xxx")
    assert len(line) < 150


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 1, 1, -1], "negative variance"),
        ([1, 1, np.nan, 1], "not finite"),
        ([np.inf, 1, 1, 1], "not finite"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    tmp_path: Path, values: list[float], words: str
) -> None:
    blobs = [wire.blob(np.full((1, 64, 1, 1), value, np.float32)) for value in values]
    layers_of(tmp_path, wire.layer("conv1_1_3x3_s2/bn", "BN", blobs))
    file = CaffeFile(tmp_path / "weights.caffemodel")
    (pair,) = match(file.layers).pairs
    with pytest.raises(ModelError, match=f"'conv1_1_3x3_s2/bn' .*{words}"):
        read_arrays(file, pair)


def test_double_numbers_beyond_single_precision_are_refused(tmp_path: Path) -> None:
    kernel = wire.shape((64, 3, 3, 3)) + wire.floats(np.full((64, 3, 3, 3), 1e300), double=True)
    layers_of(tmp_path, wire.layer("conv1_1_3x3_s2", "Convolution", [kernel]))
    file = CaffeFile(tmp_path / "weights.caffemodel")
    with pytest.raises(ModelError, match="not finite"):
        read_arrays(file, match(file.layers).pairs[0])


@pytest.mark.parametrize("name", ["conv1_1", "conv6_funetuning_fpn", "conv5_3"])
@pytest.mark.parametrize("dims", [(2**40, 0, 1, 1), (0, 2**40, 1, 1)])
def test_shapes_of_no_numbers_claim_no_network(
    tmp_path: Path, name: str, dims: tuple[int, ...]
) -> None:
    """They take no room in the file, and no network could be made of what they claim."""
    path = tmp_path / "a.caffemodel"
    one = np.ones((1, 1, 1, 1), np.float32)
    layers = {"conv1_1": wire.blob(one), name: wire.shape(dims)}
    path.write_bytes(b"".join(wire.layer(key, "X", [blob]) for key, blob in layers.items()))
    assert match(CaffeFile(path).layers).config.classes == 6
