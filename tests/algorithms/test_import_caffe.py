"""scasnet:importcaffe in a real QGIS, with the process that does the work."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from qgis.core import QgsProcessingException

from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.caffe.weights import read_encoder
from tests.network.weights import randomise, weights_by_name
from tests.real_qgis import leftovers, parse_results, pixels, qgis_process
from tests.training.caffe import wire
from tests.training.caffe.description import caffemodel
from tests.training.caffe.published import read_table


@pytest.fixture(autouse=True)
def python_with_torch(provider, training_python):
    training_python(sys.executable)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file with all layers of a narrow ScasNet."""
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig("vgg", classes=3, width=0.0625))
    randomise(network, 60 * torch.randn(1, 3, 96, 96))
    path = tmp_path_factory.mktemp("caffe") / "whole.caffemodel"
    path.write_bytes(caffemodel(read_table("vgg"), weights_by_name(network)))
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A full-width VGG16 with one layer that ScasNet has no place for."""
    content, inputs = b"", 3
    for row in read_table("vgg")[:31]:
        if row.type == "Convolution":
            kernel = np.full((row.num_output, inputs, 3, 3), 0.5, np.float32)
            blobs = [wire.blob(kernel), wire.blob(np.ones(row.num_output, np.float32))]
            content += wire.layer(row.name, row.type, blobs)
            inputs = row.num_output
    content += wire.layer("fc7", "InnerProduct", [wire.blob(np.ones((2, 2), np.float32))])
    path = tmp_path_factory.mktemp("caffe") / "encoder.caffemodel"
    path.write_bytes(content)
    return path


def test_encoder_becomes_what_a_training_starts_from(run, encoder, tmp_path, feedback):
    target = tmp_path / "encoder.safetensors"
    outputs = run("scasnet:importcaffe", INPUT=str(encoder), OUTPUT=str(target))
    assert outputs["OUTPUT"] == str(target)
    assert outputs["FOUND_NETWORK"] == "vgg"
    assert leftovers(tmp_path) == ["encoder.safetensors"]
    found = read_encoder(target)
    assert found.source == "encoder.caffemodel"
    assert len(found.layers) == len(json.loads(outputs["MATCHED"])) == 13
    unmatched = json.loads(outputs["UNMATCHED"])
    assert [row["layer"] for row in unmatched["file"]] == ["fc7"]
    assert len(unmatched["scasnet"]) == 37
    assert any(line.startswith("fc7 (2 x 2)") for line in feedback.lines)
    assert "conv1_1 (64 x 3 x 3 x 3, 64) -> conv1_1" in feedback.lines


def test_whole_file_becomes_a_model_that_maps(run, whole, image, tmp_path):
    model = tmp_path / "caffe.onnx"
    outputs = run(
        "scasnet:importcaffe",
        INPUT=str(whole),
        CLASS_NAMES="road; tree;house ",
        CLASS_COLORS="#ff0000;#00ff00;#0000ff",
        MEAN="104, 117, 123",
        OUTPUT=str(model),
    )
    assert json.loads(outputs["UNMATCHED"]) == {"file": [], "scasnet": []}
    card = inspect(model).card
    assert card.class_names == ["road", "tree", "house"]
    assert [entry.color for entry in card.classes] == ["#ff0000", "#00ff00", "#0000ff"]
    assert card.mean == pytest.approx((123 / 255, 117 / 255, 104 / 255))
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=str(image), MODEL=str(model), OUTPUT=str(target))
    assert set(np.unique(pixels(target))) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"MEAN": "red"}, "104.008"),
        ({"OUTPUT": "model.txt"}, ".safetensors"),
        ({"OUTPUT": "/nowhere/model.onnx"}, "/nowhere"),
        ({"CLASS_NAMES": "one;two"}, "3"),
        ({"OUTPUT": "encoder.safetensors"}, "1"),
        ({"NETWORK": "resnet"}, "ScasNet"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(refused, whole, tmp_path, parameters, words):
    values = {"INPUT": str(whole), "OUTPUT": "model.onnx", **parameters}
    values["OUTPUT"] = str(tmp_path / values["OUTPUT"])
    assert words in refused("scasnet:importcaffe", **values)
    assert leftovers(tmp_path) == []


def test_file_that_is_no_caffe_model_is_refused(run, tmp_path):
    fake = tmp_path / "fake.caffemodel"
    fake.write_text("this is no model")
    target = tmp_path / "encoder.safetensors"
    with pytest.raises(QgsProcessingException, match=r"fake\.caffemodel"):
        run("scasnet:importcaffe", INPUT=str(fake), OUTPUT=str(target))


def test_input_is_not_overwritten(run, whole, tmp_path):
    copy = tmp_path / "weights.onnx"  # a Caffe file all the same
    copy.write_bytes(whole.read_bytes())
    with pytest.raises(QgsProcessingException, match=r"weights\.onnx"):
        run("scasnet:importcaffe", INPUT=str(copy), OUTPUT=str(copy))
    assert copy.read_bytes() == whole.read_bytes()


@pytest.mark.long
def test_command_line_imports(encoder, tmp_path):
    target = tmp_path / "encoder.safetensors"
    values = [f"INPUT={encoder}", "NETWORK=vgg", "BAND_ORDER=bgr", f"OUTPUT={target}"]
    done = qgis_process("--json", "run", "scasnet:importcaffe", "--", *values)
    assert parse_results(done)["FOUND_NETWORK"] == "vgg"
    assert read_encoder(target).mean_bgr == (104.008, 116.669, 122.675)
