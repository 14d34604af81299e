"""Checkpoints of a training as models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scasnet_qgis.common.errors import TrainingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.export.job import export_task
from tests.training.checkpoints import write_training
from tests.training.export.exporting import DEMO, cut_corner, request, scores, tile_of


@pytest.fixture(scope="module")
def corner(tmp_path_factory) -> Path:
    return cut_corner(tmp_path_factory.mktemp("corner"))


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
