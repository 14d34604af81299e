"""The task behind ``scasnet:importcaffe``: files in, files out, and what is told about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from scasnet_qgis.common.errors import Cancelled, ModelError, OutputError, SettingError
from scasnet_qgis.common.messages import Message
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.caffe.container import CaffeFile
from scasnet_qgis.training.caffe.import_job import Table, import_task
from scasnet_qgis.training.caffe.layer_names import match
from scasnet_qgis.training.caffe.weights import read_encoder
from tests.conftest import Recorder
from tests.network.interpreter import run_table
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe import wire
from tests.training.caffe.description import caffemodel, old_caffemodel, pspnet_caffemodel
from tests.training.caffe.published import read_table

WIDTH, CLASSES = 0.0625, 4

Weights = dict[str, list[Tensor]]
DeepLab = tuple[Path, dict[str, list[np.ndarray]]]  # a file, and what is in it


def narrow_weights(variant: str, bands: int = 3, spread: float = 70.0) -> Weights:
    """Weights of a whole narrow network for inputs that vary by ``spread``."""
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, bands, CLASSES, WIDTH))
    randomise(network, spread * torch.randn(1, bands, 120, 120))
    return weights_by_name(network)


@pytest.fixture(scope="module")
def vgg() -> Weights:
    return narrow_weights("vgg")


@pytest.fixture(scope="module")
def vgg_file(vgg: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "whole.caffemodel"
    path.write_bytes(caffemodel(read_table("vgg"), vgg))
    return path


def run_import(source: Path, target: Path, recorder: Recorder, **more: Any) -> dict[str, Any]:
    return import_task({"source": str(source), "output": str(target), **more}, recorder)


def probabilities(path: Path, image: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image.numpy()})[0]


def expected(variant: str, weights: Weights, given: Tensor) -> np.ndarray:
    """What the table gives for the input that Caffe's network takes."""
    return torch.softmax(run_table(read_table(variant), weights, given), dim=1).numpy()


def raw_image(bands: int = 3, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, bands, 75, 90), generator=generator).float()


def minus(image: Tensor, *mean: float) -> Tensor:
    return image - torch.tensor(mean)[:, None, None]


@pytest.mark.parametrize("write", [pspnet_caffemodel, caffemodel], ids=["BN", "BatchNorm, Scale"])
def test_a_whole_resnet_gives_what_its_table_gives(
    tmp_path: Path, recorder: Recorder, write: Any
) -> None:
    weights = narrow_weights("resnet")
    source, target = tmp_path / "whole.caffemodel", tmp_path / "model.onnx"
    source.write_bytes(write(read_table("resnet"), weights))
    result = run_import(source, target, recorder)
    assert result["network"] == "resnet"
    image = raw_image()
    wanted = expected("resnet", weights, minus(image.flip(1), 103.939, 116.779, 123.68))
    found = probabilities(target, image / 255)
    assert len(np.unique(wanted.argmax(axis=1))) >= 2
    assert np.abs(found - wanted).max() < 1e-4


def test_a_whole_vgg_gives_what_its_table_gives_and_its_card_says_so(
    tmp_path: Path, vgg: Weights, vgg_file: Path, recorder: Recorder
) -> None:
    target = tmp_path / "landcover.onnx"
    names, colors = ["road", "tree", "a car", "water"], ["#000001", "#000002", "#00000A", "#ffffff"]
    run_import(vgg_file, target, recorder, class_names=names, class_colors=colors)
    image = raw_image()
    wanted = expected("vgg", vgg, minus(image.flip(1), 104.008, 116.669, 122.675))
    assert np.abs(probabilities(target, image / 255) - wanted).max() < 1e-4
    card = inspect(target).card
    assert (card.name, card.network, card.width) == ("landcover", "VGG ScasNet", WIDTH)
    assert card.class_names == names
    assert [item.color for item in card.classes] == [color.lower() for color in colors]
    assert card.bands == ("red", "green", "blue")
    assert card.mean == pytest.approx((122.675 / 255, 116.669 / 255, 104.008 / 255))
    assert (card.std, card.value_range) == ((1, 1, 1), (0, 255))
    assert "whole.caffemodel, SHA-256 " in card.description
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0


def test_order_mean_and_scale_of_the_input(
    tmp_path: Path, vgg: Weights, vgg_file: Path, recorder: Recorder
) -> None:
    source, target = tmp_path / "small.caffemodel", tmp_path / "model.onnx"
    weights = {**vgg, "conv1_1": [vgg["conv1_1"][0] * 50, vgg["conv1_1"][1]]}
    source.write_bytes(caffemodel(read_table("vgg"), weights))
    facts = {"band_order": "rgb", "mean": [90, 100, 120], "scale": 0.02}
    run_import(source, target, recorder, **facts)
    image = raw_image()
    wanted = expected("vgg", weights, minus(image, 90, 100, 120) * 0.02)
    assert np.abs(probabilities(target, image / 255) - wanted).max() < 1e-4
    assert inspect(target).card.mean == pytest.approx((90 / 255, 100 / 255, 120 / 255))
    other = tmp_path / "published.onnx"
    run_import(vgg_file, other, recorder, band_order="rgb")
    assert inspect(other).card.class_names == ["class 1", "class 2", "class 3", "class 4"]
    assert inspect(other).card.mean == pytest.approx((122.675 / 255, 116.669 / 255, 104.008 / 255))


def test_a_network_of_five_bands(tmp_path: Path, recorder: Recorder) -> None:
    weights = narrow_weights("vgg", 5)
    source, target = tmp_path / "five.caffemodel", tmp_path / "model.onnx"
    source.write_bytes(old_caffemodel(read_table("vgg"), weights, double=True))
    with pytest.raises(SettingError, match="takes 5 bands: give the mean as 5 numbers, not 0"):
        run_import(source, target, recorder)
    run_import(source, target, recorder, mean=[10, 20, 30, 40, 50])
    image = raw_image(5)
    wanted = expected("vgg", weights, minus(image[:, [2, 1, 0, 3, 4]], 10, 20, 30, 40, 50))
    assert np.abs(probabilities(target, image / 255) - wanted).max() < 1e-4
    assert inspect(target).card.bands == ("red", "green", "blue", "nir", "band 5")


@pytest.mark.parametrize(
    ("request_part", "kind", "words"),
    [
        ({"class_names": ["a", "b"]}, SettingError, "has 4 classes: .* not 2"),
        ({"class_colors": ["#000000"]}, SettingError, "has 4 classes: .* not 1"),
        ({"class_colors": ["red"] * 4}, ModelError, "colour 'red'"),
        ({"mean": [1, 2]}, SettingError, "3 numbers, not 2"),
        ({"mean": [1, 2, float("nan")]}, SettingError, "3 numbers"),
        ({"scale": 0}, SettingError, "must lie between"),
        ({"scale": float("inf")}, SettingError, "must lie between"),
        ({"output": "model.pb"}, OutputError, r"must end in \.safetensors .* or in \.onnx"),
        ({"source": "nowhere.caffemodel"}, ModelError, "cannot be read"),
        ({"network": "resnet"}, ModelError, "no complete ScasNet: conv1_1_3x3_s2, "),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(
    tmp_path: Path,
    vgg_file: Path,
    recorder: Recorder,
    request_part: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    request = {"source": str(vgg_file), "output": str(tmp_path / "model.onnx"), **request_part}
    with pytest.raises(kind, match=words):
        import_task(request, recorder)
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_file_makes_no_model_and_the_table_says_why(
    tmp_path: Path, vgg: Weights, recorder: Recorder
) -> None:
    source, target = tmp_path / "cut.caffemodel", tmp_path / "model.onnx"
    rows = [row for row in read_table("vgg") if row.name != "fc6_34_3x3"]
    source.write_bytes(caffemodel(rows, vgg))
    with pytest.raises(ModelError, match=r"complete ScasNet: fc6_34_3x3 are missing"):
        run_import(source, target, recorder)
    assert not target.exists()
    assert "Layers of ScasNet that are not in the file: 1" in recorder.infos
    assert recorder.infos[-1] == "fc6_34_3x3 (8 x 8 x 3 x 3, 8)"


def test_a_cancelled_import_leaves_nothing(
    tmp_path: Path, vgg_file: Path, recorder: Recorder
) -> None:
    recorder.stop = True
    with pytest.raises(Cancelled):
        run_import(vgg_file, tmp_path / "model.onnx", recorder)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def deeplab(tmp_path_factory: pytest.TempPathFactory) -> DeepLab:
    """A full-width VGG16 as DeepLab has it."""
    generator = np.random.default_rng(0)
    layers: dict[str, list[np.ndarray]] = {}
    inputs = 3
    for row in read_table("vgg"):
        if row.name == "fc6_1":
            break
        if row.type == "Convolution" and row.num_output:
            kernel = generator.standard_normal((row.num_output, inputs, 3, 3), np.float32)
            layers[row.name] = [kernel, generator.standard_normal(row.num_output, np.float32)]
            inputs = row.num_output
    path = tmp_path_factory.mktemp("deeplab") / "deeplab.caffemodel"
    content = [wire.old_layer(n, 4, [wire.old_blob(b) for b in bs]) for n, bs in layers.items()]
    rest = [("fc6", 4, (8, 512, 3, 3)), ("fc7", 4, (8, 8, 1, 1)), ("fc6_1", 4, (1024, 512, 3, 3))]
    for name, kind, shape in rest:
        blobs = [wire.old_blob(np.zeros(shape, "f4")), wire.old_blob(np.zeros(shape[0], "f4"))]
        content.append(wire.old_layer(name, kind, blobs))
    path.write_bytes(b"".join(content))
    return path, layers


def test_the_encoder_of_deeplab(tmp_path: Path, deeplab: DeepLab, recorder: Recorder) -> None:
    source, layers = deeplab
    target = tmp_path / "encoder.safetensors"
    result = run_import(source, target, recorder)
    found = read_encoder(target)
    assert (found.network, found.source, found.scale) == ("vgg", "deeplab.caffemodel", 1.0)
    assert found.mean_bgr == (104.008, 116.669, 122.675)
    assert len(found.sha256) == 64
    assert set(found.layers) == set(layers)
    for name, blobs in layers.items():
        assert all(np.array_equal(a, b) for a, b in zip(found.layers[name], blobs))
    assert [match["scasnet"] for match in result["matched"]] == list(layers)
    file, scasnet = result["unmatched"]["file"], result["unmatched"]["scasnet"]
    assert {entry["layer"]: entry["reason"].split(": ")[1] for entry in file} == {
        "fc6": "ScasNet has no such layer",
        "fc7": "ScasNet has no such layer",
        "fc6_1": "not in ScasNet's encoder",
    }
    assert file[0]["shapes"] == [[8, 512, 3, 3], [1, 1, 1, 8]]
    names = [entry["layer"] for entry in scasnet]
    assert len(names) == 37
    assert {"fc6_1", "conv6_funetuning_fpn"} <= set(names)
    assert "conv1_1 (64 x 3 x 3 x 3, 64) -> conv1_1" in recorder.infos
    assert "Unused layers of the file: 3" in recorder.infos
    assert "Layers of ScasNet that are not in the file: 37" in recorder.infos


def test_an_encoder_for_red_before_blue_is_turned(
    tmp_path: Path, deeplab: DeepLab, recorder: Recorder
) -> None:
    source, layers = deeplab
    target = tmp_path / "encoder.safetensors"
    facts = {"band_order": "rgb", "mean": [1, 2, 3], "scale": 0.5}
    run_import(source, target, recorder, **facts)
    found = read_encoder(target)
    assert (found.mean_bgr, found.scale) == ((3, 2, 1), 0.5)
    assert np.array_equal(found.layers["conv1_1"][0], layers["conv1_1"][0][:, ::-1])


def test_the_table_is_translated_but_for_its_names(vgg_file: Path) -> None:
    table = Table.of(match(CaffeFile(vgg_file).layers), encoder_only=True)
    lines = list(table.lines())
    plain = [line for line in lines if isinstance(line, str)]
    assert len([line for line in plain if " -> " in line]) == 13
    unused = [line for line in lines if isinstance(line, Message) and "layer" in line.values]
    assert len(unused) == len(table.unused) == 37
