"""Models of other programs in half precision and in 8 bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.training.export.job import export_task
from tests.models.tiny_models import pixelwise, save
from tests.training.export.exporting import cut_corner, request, scores, tile_of


@pytest.fixture(scope="module")
def corner(tmp_path_factory) -> Path:
    return cut_corner(tmp_path_factory.mktemp("corner"))


def kinds(path: Path) -> Counter:
    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


def test_values_that_half_precision_cannot_hold(corner, tmp_path):
    kernel = np.full((4, 3, 1, 1), 3e4, dtype=np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["image", "kernel"], ["large"]),
        onnx.helper.make_node("Softmax", ["large"], ["scores"], axis=1),
    ]
    shapes = {"image": ["n", 3, "h", "w"]}, ["n", 4, "h", "w"]
    model = save(tmp_path / "large.onnx", nodes, {"kernel": kernel}, *shapes)
    with pytest.raises(ModelError):
        export_task(request(model, tmp_path / "m.onnx", "fp16", corner), Progress())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize(
    "options",
    [
        {"activation": None},
        {"activation": "Sigmoid", "classes": 1},
        {"margin": 8},
        {"batch": 2, "size": (64, 64)},
        {"metadata": {"standardization_mean": "[0.4, 0.4, 0.4]",
                      "standardization_std": "[0.2, 0.2, 0.2]"}},
    ],
    ids=["logits", "sigmoid", "margin", "batch", "standardised"],
)  # fmt: skip
def test_models_of_other_programs(corner, tmp_path, options, precision):
    model = pixelwise(tmp_path / "theirs.onnx", **options)
    report = export_task(request(model, tmp_path / "m.onnx", precision, corner), Progress())
    assert report["labels_agreeing"] > 0.97
    before, after = inspect(model), inspect(tmp_path / "m.onnx")
    assert (after.classes, after.margin, after.fixed_size, after.fixed_batch) == (
        before.classes, before.margin, before.fixed_size, before.fixed_batch,
    )  # fmt: skip
    assert after.card.standardise == before.card.standardise


def test_batch_norms_and_an_older_format(corner, tmp_path):
    """Layers as other exporters leave them: nameless, batch norms apart, opset 11."""
    random = np.random.default_rng(5)
    constants, nodes, last, inputs = {}, [], "image", 3
    for index in range(5):
        outputs = 3 if index == 4 else 12
        kernel = random.standard_normal((outputs, inputs, 3, 3)) / np.sqrt(4.5 * inputs)
        constants[f"w{index}"] = kernel.astype(np.float32)
        nodes.append(
            onnx.helper.make_node("Conv", [last, f"w{index}"], [f"c{index}"], pads=[1] * 4)
        )
        for key, low, high in (("s", 0.5, 2), ("b", -0.3, 0.3), ("m", -0.3, 0.3), ("v", 0.5, 2)):
            constants[f"{key}{index}"] = random.uniform(low, high, outputs).astype(np.float32)
        norm = [f"c{index}", *(f"{key}{index}" for key in "sbmv")]
        nodes.append(onnx.helper.make_node("BatchNormalization", norm, [f"n{index}"]))
        nodes.append(onnx.helper.make_node("Relu", [f"n{index}"], [f"r{index}"]))
        last, inputs = f"r{index}", outputs
    nodes.append(onnx.helper.make_node("Identity", [last], ["scores"]))
    shape = ["n", 3, "h", "w"]
    path = save(tmp_path / "theirs.onnx", nodes, constants, {"image": shape}, shape)
    model = onnx.load(str(path))
    model.opset_import[0].version = 11
    onnx.save(model, str(path))
    report = export_task(request(path, tmp_path / "m.onnx", "int8", corner), Progress())
    assert report["labels_agreeing"] > 0.9
    found = kinds(tmp_path / "m.onnx")
    assert found["BatchNormalization"] == 0
    assert found["DequantizeLinear"] > 6
    assert len(np.unique(scores(path, tile_of(corner, 100, 100)).argmax(axis=1))) > 1
