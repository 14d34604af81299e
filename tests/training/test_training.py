"""Training on a tiny made-up landscape: it learns, resumes exactly, and its model maps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from osgeo import gdal

from scasnet_qgis.core.errors import SettingError, TrainingError
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.config import TrainingConfig
from scasnet_qgis.training.loop import Trainer
from scasnet_qgis.training.normalisation import measure
from scasnet_qgis.training.sampling import CropSampler
from scasnet_qgis.training.scenes import IGNORE, Scene, load_scenes, split

ROOT = Path(__file__).parents[2]
COLORS = {0: (40, 120, 40), 1: (200, 190, 170), 7: (40, 80, 160)}
SETTINGS = {
    "images": "images",
    "labels": "labels",
    "validation": "*_validation",
    "classes": [
        {"value": 0, "name": "meadow", "color": "#40a040"},
        {"value": 1, "name": "sand", "color": "#d0c0a0"},
        {"value": 7, "name": "lake", "color": "#4060c0"},
    ],
    "width": 0.0625,
    "steps": 6,
    "crop": 64,
    "batch": 2,
    "warm_up": 2,
    "learning_rate": 2e-3,
    "class_weight_power": 0.25,
    "phases": [{"step": 4, "crop": 48, "batch": 3, "class_weight_power": 0.0}],
}


def _write(path: Path, values: np.ndarray) -> None:
    """Write [bands, rows, cols] as PNG."""
    bands, rows, cols = values.shape
    memory = gdal.GetDriverByName("MEM").Create("", cols, rows, bands)
    memory.WriteArray(values)
    gdal.GetDriverByName("PNG").CreateCopy(str(path), memory)


@pytest.fixture(scope="module")
def landscape(tmp_path_factory) -> Path:
    """Four images of three fields each; some pixels carry no label (255)."""
    folder = tmp_path_factory.mktemp("landscape")
    generator = np.random.default_rng(3)
    for name in ("a", "b", "c", "d_validation"):
        labels = np.repeat(generator.permutation([0, 1, 7]), 40)[None, :].repeat(90, axis=0)
        image = np.array([COLORS[value] for value in labels.ravel()]).reshape(90, 120, 3)
        image = np.clip(image + generator.normal(0, 8, image.shape), 0, 255)
        labels = labels.copy()
        labels[:6] = 255
        for kind in ("images", "labels"):
            (folder / kind).mkdir(exist_ok=True)
        _write(folder / "images" / f"{name}.png", image.transpose(2, 0, 1).astype(np.uint8))
        _write(folder / "labels" / f"{name}.png", labels[None].astype(np.uint8))
    return folder


def _config(folder: Path, **changes) -> TrainingConfig:
    return TrainingConfig(**{**SETTINGS, "folder": str(folder), **changes})


def _weights(trainer: Trainer) -> list[torch.Tensor]:
    states = (trainer.network.state_dict(), trainer.averaged.state_dict())
    return [each for state in states for each in state.values()]


def test_interrupted_run_ends_with_the_same_weights(landscape, tmp_path):
    whole = Trainer(_config(landscape), tmp_path / "whole", say=lambda _text: None)
    whole.run()
    first = Trainer(_config(landscape), tmp_path / "parts", say=lambda _text: None)
    for _ in range(3):
        first._train_on(*first._batch(first.step))
        first.step += 1
    first.save()
    second = Trainer(_config(landscape), tmp_path / "parts", say=lambda _text: None)
    assert second.step == 3
    second.run()
    assert all(torch.equal(a, b) for a, b in zip(_weights(whole), _weights(second)))


def test_command_line_trains_and_writes_a_model_that_maps(landscape, tmp_path):
    from scasnet_qgis.core.progress import Progress
    from scasnet_qgis.mapping import MapRequest, make_map
    from scasnet_qgis.models.onnx_file import inspect

    settings = {
        **SETTINGS,
        "steps": 80,
        "width": 0.125,
        "crop": 48,
        "batch": 4,
        "card": {"name": "Fields", "licence": "CC0"},
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "scasnet_qgis.training", str(tmp_path / "settings.json")]
    options = ["--work", str(tmp_path / "work"), "--data", str(landscape)]
    model = tmp_path / "fields.onnx"
    done = subprocess.run(
        [*command, *options, "--model", str(model)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    card = inspect(model).card
    assert card.class_names == ["meadow", "sand", "lake"]
    assert card.accuracy["overall_accuracy"] > 0.8
    image = landscape / "images" / "d_validation.png"
    request = MapRequest(str(image), inspect(model), tmp_path / "map.tif")
    make_map(request, Progress(), lambda _path, _classes: None)
    truth = gdal.Open(str(landscape / "labels" / "d_validation.png")).ReadAsArray()
    mapped = gdal.Open(str(tmp_path / "map.tif")).ReadAsArray()
    wanted = np.select([truth == 0, truth == 1, truth == 7], [1, 2, 3], 0)
    assert (mapped == wanted)[truth != 255].mean() > 0.8


def test_settings_with_a_typing_error_are_refused(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({**SETTINGS, "learnign_rate": 1}))
    with pytest.raises(SettingError, match="learnign_rate"):
        TrainingConfig.read(tmp_path / "settings.json")


def test_phases_change_settings_from_their_step_on():
    config = _config(Path(), phases=[{"step": 4, "crop": 96, "batch": 1}, {"step": 2, "batch": 5}])
    found = [(config.at(step).crop, config.at(step).batch) for step in range(6)]
    assert found == [(64, 2), (64, 2), (64, 5), (64, 5), (96, 1), (96, 1)]


@pytest.mark.parametrize("phase", [{"crop": 96}, {"step": 4, "learning_rate": 1}])
def test_phase_that_cannot_work_is_refused(tmp_path, phase):
    (tmp_path / "settings.json").write_text(json.dumps({**SETTINGS, "phases": [phase]}))
    with pytest.raises(SettingError, match="phase"):
        TrainingConfig.read(tmp_path / "settings.json")


def test_images_without_labels_are_refused(landscape, tmp_path):
    (tmp_path / "labels").mkdir()
    with pytest.raises(TrainingError, match="same names"):
        load_scenes(landscape / "images", tmp_path / "labels", [0], 3, tmp_path / "cache")


def test_no_validation_scene_reaches_the_sampler(landscape, tmp_path):
    scenes = load_scenes(
        landscape / "images", landscape / "labels", [0, 1, 7], 3, tmp_path / "cache"
    )
    training, validation = split(scenes, "*_validation")
    assert [each.name for each in training] == ["a", "b", "c"]
    assert [each.name for each in validation] == ["d_validation"]
    assert set(np.unique(training[0].labels)) == {0, 1, 2, IGNORE}


def test_crops_keep_image_and_labels_together():
    """Where the label says class 1 the image is bright, whatever the crop was turned into."""
    labels = np.zeros((100, 130), dtype=np.uint8)
    labels[20:70, 30:90] = 1
    pixels = np.repeat((40 + 180 * labels)[None], 3, axis=0).astype(np.uint8)
    config = _config(Path(), classes=SETTINGS["classes"][:2], scale_range=(0.7, 1.4))
    sampler = CropSampler([Scene("one", pixels, labels)], config)
    images, masks = sampler.batch(config, np.random.default_rng(5))
    for image, mask in zip(images, masks):
        if (mask == 0).any() and (mask == 1).any():
            grey = image.mean(dim=0)
            assert grey[mask == 1].median() > grey[mask == 0].median() + 0.2


def test_normalisation_is_that_of_the_pixels():
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (3, 1100, 70)).astype(np.uint8)
    scene = Scene("one", pixels, np.zeros((1100, 70), dtype=np.uint8))
    found = measure([scene], (0.0, 255.0))
    scaled = pixels.reshape(3, -1) / 255
    assert found.mean == pytest.approx(tuple(scaled.mean(axis=1)), abs=1e-4)
    assert found.std == pytest.approx(tuple(scaled.std(axis=1)), abs=1e-4)


def test_damaged_checkpoint_is_said(tmp_path):
    Checkpoint({"a": torch.zeros(3)}, {"step": 1}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "state.json").write_text("{")
    with pytest.raises(TrainingError, match="delete it"):
        Checkpoint.load(tmp_path / "checkpoint")


def test_checkpoint_of_an_interrupted_replacement_is_found(tmp_path):
    Checkpoint({"a": torch.ones(3)}, {"step": 4}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    found = Checkpoint.load(tmp_path / "checkpoint")
    assert found is not None
    assert found.state["step"] == 4
    # The trainer may be between its two renames, so reading must not take the name from it.
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.old"]


def test_the_only_checkpoint_stays_until_the_next_is_whole(tmp_path, monkeypatch):
    Checkpoint({"a": torch.ones(3)}, {"step": 4}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            Checkpoint({"a": torch.ones(3)}, {"step": 5}).save(tmp_path / "checkpoint")
    assert Checkpoint.load(tmp_path / "checkpoint").state["step"] == 4
    Checkpoint({"a": torch.ones(3)}, {"step": 5}).save(tmp_path / "checkpoint")
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


def _interrupt(*_arguments):
    raise KeyboardInterrupt


def test_a_resumed_run_keeps_a_best_network_newer_than_its_checkpoint(landscape, tmp_path):
    first = Trainer(_config(landscape), tmp_path, say=lambda _text: None)
    first.save()
    first.evaluate()
    best = Checkpoint.load(tmp_path / "best")
    Checkpoint(best.tensors, {**best.state, "mean_iou": 0.9}).save(tmp_path / "best")
    second = Trainer(_config(landscape), tmp_path, say=lambda _text: None)
    second.evaluate()
    assert Checkpoint.load(tmp_path / "best").state["mean_iou"] == 0.9


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 0.125}, "width"),
        ({"variant": "resnet"}, "variant"),
        ({"bands": ["red", "green"]}, "bands"),
        ({"classes": SETTINGS["classes"][:2]}, "classes"),
        ({"classes": SETTINGS["classes"][::-1]}, "classes"),
    ],
)
def test_settings_of_another_network_are_refused_on_resuming(landscape, tmp_path, changes, named):
    Checkpoint({}, {"config": _config(landscape).as_dict()}).save(tmp_path / "checkpoint")
    with pytest.raises(TrainingError, match=f"other settings for {named}: "):
        Trainer(_config(landscape, **changes), tmp_path)


def test_command_line_writes_a_half_model_of_fixed_size(landscape, tmp_path, monkeypatch, capsys):
    from scasnet_qgis.models.onnx_file import inspect
    from scasnet_qgis.training.__main__ import main

    Trainer(_config(landscape), tmp_path, say=lambda _text: None).evaluate()
    monkeypatch.setattr(Trainer, "run", lambda _trainer: None)
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    command = f"scasnet {tmp_path / 'settings.json'} --data {landscape} --work {tmp_path} "
    for name, options in (("free", ""), ("fixed", "--fixed-size 64 --half")):
        line = f"{command} --model {tmp_path / name}.onnx {options}"
        monkeypatch.setattr(sys, "argv", line.split())
        assert main() == 0
    said = capsys.readouterr().out
    assert said.count("differs from PyTorch by at most") == 2
    assert said.count("Half precision changes a probability by at most") == 1
    assert inspect(tmp_path / "free.onnx").fixed_size is None
    assert inspect(tmp_path / "fixed.onnx").fixed_size == (64, 64)
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("free", "fixed")]
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize("options", ["--half", "--fixed-size 64", "--model m.onnx --fixed-size 7"])
def test_export_options_that_cannot_work_are_refused_before_training(
    tmp_path, monkeypatch, options
):
    from scasnet_qgis.training.__main__ import main

    line = f"scasnet {tmp_path / 'none.json'} --work {tmp_path} {options}"
    monkeypatch.setattr(sys, "argv", line.split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
