"""Published encoder weights, from a Caffe file or our own, do what they did in Caffe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor

from scasnet_qgis.common.errors import ModelError, OutputError, SettingError
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig, VggEncoder
from scasnet_qgis.training.caffe.weights import (
    PUBLISHED_MEAN,
    CaffeInput,
    EncoderWeights,
    load,
    load_encoder,
    read_encoder,
    write_encoder,
)
from tests.network.interpreter import run_table
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe import wire
from tests.training.caffe.description import old_caffemodel, pspnet_caffemodel
from tests.training.caffe.published import VARIANTS, Row, read_table

WRITERS = {"vgg": old_caffemodel, "resnet": pspnet_caffemodel}


def encoder_table(variant: str) -> list[Row]:
    table = read_table(variant)
    return table[: [row.name for row in table].index("fc6_1")]


def published(variant: str, seed: int = 0) -> dict[str, list[Tensor]]:
    """Random full-width encoder weights that keep maps of 0-255 at a moderate size."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {}
    inputs = {"data": 3}
    for row in encoder_table(variant):
        channels = inputs[row.bottoms[0]]
        if row.type == "Convolution":
            channels, shape = row.num_output, (row.num_output, channels, row.kernel, row.kernel)
            spread = (2 / (shape[1] * row.kernel**2)) ** 0.5
            blobs = [torch.randn(shape, generator=generator) * spread]
            found[row.name] = blobs + [torch.randn(channels)] * bool(row.bias)
        elif row.type == "BN":
            parts = [0.5 + torch.rand(channels, generator=generator) for _ in range(4)]
            found[row.name] = parts
        inputs[row.top] = channels
    return found


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def tensors(variant: str) -> dict[str, list[Tensor]]:
    return published(variant)


@pytest.fixture(scope="module")
def caffe_file(
    variant: str, tensors: dict[str, list[Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp(variant) / "encoder.caffemodel"
    path.write_bytes(WRITERS[variant](encoder_table(variant), tensors))
    return path


@pytest.fixture(scope="module")
def weights(caffe_file: Path) -> EncoderWeights:
    return read_encoder(caffe_file)


def assert_same(found: EncoderWeights, tensors: dict[str, list[Tensor]]) -> None:
    assert set(found.layers) == set(tensors)
    for name, blobs in tensors.items():
        assert len(found.layers[name]) == len(blobs)
        assert all(np.array_equal(a, b.numpy()) for a, b in zip(found.layers[name], blobs))


def test_a_caffe_file_is_read_with_the_published_mean(
    variant: str, weights: EncoderWeights, tensors: dict[str, list[Tensor]]
) -> None:
    assert_same(weights, tensors)
    assert (weights.network, weights.scale, weights.source) == (variant, 1.0, "encoder.caffemodel")
    assert weights.mean_bgr == PUBLISHED_MEAN[variant]
    assert weights.mean == pytest.approx([value / 255 for value in weights.mean_bgr[::-1]])


def test_our_own_file_gives_the_same_back(
    variant: str, weights: EncoderWeights, tensors: dict[str, list[Tensor]], tmp_path: Path
) -> None:
    path = tmp_path / "encoder.safetensors"
    written = replace(weights, mean_bgr=(1.0, 2.0, 3.5), scale=0.017, sha256="ab12")
    write_encoder(written, path)
    assert [file.name for file in tmp_path.iterdir()] == ["encoder.safetensors"]
    found = read_encoder(path)
    assert_same(found, tensors)
    assert replace(found, layers={}) == replace(written, layers={})
    with safe_open(path, framework="numpy") as file:
        facts = {key: json.loads(text) for key, text in file.metadata().items() if key != "format"}
    assert (facts["network"], facts["band_order"]) == (variant, "bgr")


@torch.no_grad()
def test_a_full_width_network_gives_the_maps_of_caffe(
    variant: str, weights: EncoderWeights, tensors: dict[str, list[Tensor]]
) -> None:
    network = ScasNet(ScasNetConfig(variant, classes=2)).eval()
    std = (0.2, 0.3, 0.4)
    load_encoder(network, weights, weights.mean, std)
    rgb = torch.randint(0, 256, (1, 3, 35, 42), generator=torch.Generator().manual_seed(3)).float()
    given = rgb.flip(1) - torch.tensor(weights.mean_bgr)[:, None, None]
    expected = run_table(encoder_table(variant), tensors, given)
    found = network.encoder(standardised(rgb, weights.mean, std))["pool5"]
    assert expected.std() > 0.01 * expected.abs().max()
    # Up to the border, where a mean in the bias would differ.
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def standardised(raw: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    shift, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return (raw / 255 - shift) / scale


def small(variant: str, bands: int) -> ScasNet:
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, bands, 4, 0.0625)).double()
    randomise(network, torch.randn(1, bands, 80, 80, dtype=torch.float64))
    return network


def arrays_of(network: ScasNet) -> list[tuple[str, list[np.ndarray]]]:
    return [
        (name, [blob.float().numpy() for blob in blobs])
        for name, blobs in weights_by_name(network).items()
    ]


def first_maps(network: ScasNet, image: Tensor) -> Tensor:
    """The maps behind the first convolution (and batch norm) of a network."""
    encoder = network.encoder
    first = encoder.block1[0] if network.config.variant == "vgg" else encoder.stem[0]
    return first(image)


@torch.no_grad()
def test_another_mean_changes_the_border_only(variant: str) -> None:
    caffe = small(variant, 3)
    given = CaffeInput((100.0, 110.0, 120.0), 1 / 64, (2, 1, 0))
    rgb = torch.rand(1, 3, 30, 40, dtype=torch.float64) * 255
    wanted = first_maps(caffe, (rgb.flip(1) - torch.tensor(given.mean)[:, None, None]) / 64)
    differences = []
    for mean in (given.card_mean, (0.3, 0.5, 0.9)):
        network = ScasNet(caffe.config).double().eval()
        std = (0.2, 0.25, 0.3)
        load(network, arrays_of(caffe), given, mean, std)
        found = first_maps(network, standardised(rgb, mean, std).double())
        differences.append((found - wanted).abs() / wanted.abs().max())
    exact, shifted = differences
    assert exact.max() < 1e-5
    assert shifted[..., 1:-1, 1:-1].max() < 1e-5
    assert shifted.max() > 0.01


@torch.no_grad()
def test_further_bands_do_not_count_at_first(variant: str) -> None:
    caffe = small(variant, 3)
    given = CaffeInput((100.0, 110.0, 120.0), 1 / 64, (2, 1, 0))
    network = ScasNet(replace(caffe.config, bands=5)).double().eval()
    load(network, arrays_of(caffe), given, (*given.card_mean, 0.1, 0.2), (0.2, 0.2, 0.2, 0.3, 0.4))
    image = torch.rand(1, 5, 20, 20, dtype=torch.float64)
    rgb = 255 * (0.2 * image[:, :3] + torch.tensor(given.card_mean)[:, None, None])
    wanted = first_maps(caffe, (rgb.flip(1) - torch.tensor(given.mean)[:, None, None]) / 64)
    found = first_maps(network, image)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize(
    "config", [{"width": 0.5}, {"bands": 2}, {"variant": "the other"}], ids=str
)
def test_a_network_that_does_not_fit_is_refused(
    variant: str, weights: EncoderWeights, config: dict[str, object]
) -> None:
    if "variant" in config:
        config = {"variant": VARIANTS[1 - VARIANTS.index(variant)], "width": 0.1}
    chosen = ScasNetConfig(**{"variant": variant, "width": 0.1, **config})
    network = ScasNet(chosen)
    with pytest.raises(SettingError, match=f"Published {variant} weights fit .* width 1 "):
        load_encoder(network, weights, [0.5] * chosen.bands, [0.2] * chosen.bands)


def test_an_encoder_with_a_layer_missing_is_refused(variant: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.caffemodel"
    table, blobs = encoder_table(variant), weights_by_name(small(variant, 3).float())
    lost = [row for row in table if row.name in blobs][2]
    path.write_bytes(WRITERS[variant]([row for row in table if row != lost], blobs))
    with pytest.raises(ModelError, match=f"no complete {variant} encoder: {lost.name} "):
        read_encoder(path)


@pytest.mark.parametrize(("bands", "width"), [(4, 1.0), (3, 0.25)])
def test_an_encoder_of_another_kind_is_refused(tmp_path: Path, bands: int, width: float) -> None:
    encoder = VggEncoder(bands, lambda published: round(published * width))
    path = tmp_path / "odd.caffemodel"
    path.write_bytes(old_caffemodel(encoder_table("vgg"), weights_by_name(encoder)))
    with pytest.raises(ModelError, match=f"width {width:g} for {bands} bands"):
        read_encoder(path)


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "encoder.safetensors"
    layers = {name: [blob.numpy() for blob in blobs] for name, blobs in published("vgg").items()}
    write_encoder(EncoderWeights("vgg", layers, PUBLISHED_MEAN["vgg"]), path)
    return path


def alter(source: Path, target: Path, change: Callable[..., object], tensors: bool) -> None:
    with safe_open(source, framework="numpy") as file:
        metadata = file.metadata()
    values = load_file(source) if tensors else {}
    change(values if tensors else metadata)
    save_file(values, target, metadata)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("conv3_1.bias"),
        lambda tensors: tensors.update({"conv1_1.bias": np.zeros(3, np.float32)}),
        lambda tensors: tensors.update({"conv1_1.bias": np.zeros(64, np.int32)}),
        lambda tensors: tensors["conv2_1.bias"].fill(np.nan),
    ],
    ids=["missing", "another shape", "another type", "no number"],
)
def test_an_own_file_with_other_weights_is_refused(
    own_file: Path, tmp_path: Path, change: Callable[..., object]
) -> None:
    path = tmp_path / "changed.safetensors"
    alter(own_file, path, change, tensors=True)
    with pytest.raises(ModelError, match=r"\.safetensors is not an encoder"):
        read_encoder(path)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda facts: facts.pop("format"), "metadata: "),
        (lambda facts: facts.update(version="2"), "metadata: "),
        (lambda facts: facts.update(network='"alexnet"'), "no known network"),
        (lambda facts: facts.update(network="[]"), "no known network"),
        (lambda facts: facts.update(mean="{"), "Expecting property name"),
        (lambda facts: facts.update(mean="[" * 100_000), "recursion"),
        (lambda facts: facts.update(mean="[1, 2]"), "mean or scale"),
        (lambda facts: facts.update(mean='["a", 1, 2]'), "mean or scale"),
        (lambda facts: facts.pop("scale"), "mean or scale"),
        (lambda facts: facts.update(scale="0"), "mean or scale"),
    ],
)
def test_an_own_file_with_other_facts_is_refused(
    own_file: Path, tmp_path: Path, change: Callable[..., object], detail: str
) -> None:
    path = tmp_path / "changed.safetensors"
    alter(own_file, path, change, tensors=False)
    with pytest.raises(ModelError, match=r"\.safetensors is not an encoder") as caught:
        read_encoder(path)
    assert detail in caught.value.detail


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x02" + b"\x00" * 7 + b"{}"])
def test_what_is_no_own_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "none.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"\.safetensors is not an encoder"):
        read_encoder(path)
    with pytest.raises(ModelError, match=r"\.safetensors is not an encoder"):
        read_encoder(tmp_path / "missing.safetensors")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, own_file: Path) -> None:
    weights = read_encoder(own_file)
    (tmp_path / "taken.safetensors").mkdir()
    (tmp_path / "taken.safetensors" / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_encoder(weights, tmp_path / "taken.safetensors")
    with pytest.raises(OutputError, match="cannot be written"):
        write_encoder(weights, tmp_path / "taken.safetensors" / "file" / "below.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["taken.safetensors"]


def test_a_caffe_file_without_weights_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.caffemodel"
    path.write_bytes(wire.layer("ip1", "InnerProduct", [wire.blob(np.ones((2, 2), np.float32))]))
    with pytest.raises(ModelError, match="no layer of VGG16"):
        read_encoder(path)
