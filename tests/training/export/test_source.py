"""Exports of a training's checkpoints, and of models of other programs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from scasnet_qgis.common.errors import ModelError, TrainingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.export.job import export_task
from tests.models.tiny_models import pixelwise, save
from tests.training.checkpoints import write_training
from tests.training.export.exporting import DEMO, request, scores, tile_of


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> tuple[Path, ScasNet]:
    work = tmp_path_factory.mktemp("training") / "m_training"
    return work, write_training(work)


@pytest.mark.parametrize("part", ["", "best", "best/state.json", "checkpoint/tensors.safetensors"])
def test_a_checkpoint_becomes_a_model(training, tmp_path, part, recorder):
    work, network = training
    wanted = request(work / part, tmp_path / "m.onnx", "fp32", demo=str(DEMO))
    report = export_task(wanted, recorder)
    assert report["network_difference"] < 1e-4
    assert report["labels_agreeing"] == 1.0
    card = inspect(tmp_path / "m.onnx").card
    assert (card.name, card.licence, card.tile_size, card.width) == ("Ours", "CC0", 384, 0.05)
    assert (card.resolution, card.training_data) == ((0.2, 0.7), "a.tif")
    assert (card.accuracy["data"], card.accuracy["mean_iou"]) == ("b.tif", 0.6)
    tile = tile_of(DEMO, 90, 70)
    with torch.inference_mode():
        exact = torch.softmax(network((torch.from_numpy(tile) - 0.4) / 0.9), dim=1).numpy()
    assert np.abs(scores(tmp_path / "m.onnx", tile) - exact).max() < 1e-4
    assert len(np.unique(exact.argmax(axis=1))) > 1


def test_a_checkpoint_in_half_precision_for_the_peers(training, corner, tmp_path):
    wanted = request(training[0], tmp_path / "m.onnx", "fp16", corner, fixed_size=64)
    report = export_task(wanted, Progress())
    assert report["labels_agreeing"] > 0.99
    assert report["network_difference"] < 1e-4
    info = inspect(tmp_path / "m.onnx")
    assert (info.fixed_size, info.card.precision, info.card.name) == ((64, 64), "float16", "Ours")


def test_a_checkpoint_of_another_version(training, tmp_path):
    saved = Checkpoint.load(training[0] / "best")
    saved.state.pop("config")
    saved.save(tmp_path / "old")
    wanted = request(tmp_path / "old", tmp_path / "m.onnx", "fp32", demo=str(DEMO))
    with pytest.raises(TrainingError, match="old"):
        export_task(wanted, Progress())


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
    with pytest.raises(ModelError, match=r"\de\+04"):
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
