"""Training on a tiny made-up landscape: it learns, resumes exactly, and its model maps."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, OutputError, ScasNetError, TrainingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.loop import Trainer
from scasnet_qgis.training.optimisation import EvaluationTimer, Schedule, make_optimizer
from scasnet_qgis.training.run import prepared, train_task
from scasnet_qgis.training.settings.config import TrainingConfig
from tests.conftest import Recorder
from tests.map_settings import map_settings
from tests.training.conftest import Impatient

COLORS = {0: (40, 120, 40), 1: (200, 190, 170), 7: (40, 80, 160)}
SETTINGS = {
    "data": [{"image": "images", "labels": "labels", "validation": "*_validation"}],
    "classes": [
        {"value": 0, "name": "meadow", "color": "#40a040"},
        {"value": 1, "name": "sand", "color": "#d0c0a0"},
        {"value": 7, "name": "lake", "color": "#4060c0"},
    ],
    "start_from": "nothing",
    "width": 0.0625,
    "steps": 6,
    "crop": 64,
    "batch": 2,
    "warm_up": 2,
    "learning_rate": 2e-3,
    "class_weight_power": 0.25,
    "precision": "single",
    "phases": [{"step": 4, "crop": 48, "batch": 3, "class_weight_power": 0.0}],
}
LEARNING = {"steps": 80, "width": 0.125, "crop": 48, "batch": 4, "phases": []}


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
    return TrainingConfig.of({**SETTINGS, "folder": str(folder), **changes})


def _trainer(folder: Path, work: Path, **changes) -> Trainer:
    return prepared(_config(folder, **changes), work, Progress())


def _request(folder: Path, target: Path, **changes) -> dict[str, object]:
    config = {**SETTINGS, "folder": str(folder), **changes}
    return {"config": config, "output": str(target / "m.onnx"), "work": str(target / "m_training")}


def _weights(trainer: Trainer) -> list[torch.Tensor]:
    states = (trainer.network.state_dict(), trainer.averaged.state_dict())
    return [tensor for state in states for tensor in state.values()]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_run_ends_with_the_same_weights(landscape, tmp_path, optimizer):
    whole = _trainer(landscape, tmp_path / "whole", optimizer=optimizer)
    whole.run()
    first = _trainer(landscape, tmp_path / "parts", optimizer=optimizer)
    for _ in range(3):
        first._train_on(*first._batch(first.step))
        first.step += 1
    first.save()
    second = _trainer(landscape, tmp_path / "parts", optimizer=optimizer)
    assert second.step == 3
    second.run()
    assert all(torch.equal(a, b) for a, b in zip(_weights(whole), _weights(second)))


def test_same_seed_gives_the_same_weights_and_another_does_not(landscape, tmp_path):
    runs = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        trainer = _trainer(landscape, tmp_path / name, seed=seed, steps=3)
        trainer.run()
        runs.append(torch.cat([tensor.flatten().float() for tensor in _weights(trainer)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_training_gives_a_model_that_maps(landscape, tmp_path):
    from scasnet_qgis.mapping.job import make_map
    from scasnet_qgis.models.model_file import inspect

    request = _request(landscape, tmp_path, **LEARNING, card={"name": "Fields", "licence": "CC0"})
    progress = Recorder()
    outcome = train_task(request, progress)
    assert outcome["overall_accuracy"] > 0.8
    assert not outcome["cancelled"]
    assert progress.fractions[-1] == 1.0
    model = tmp_path / "m.onnx"
    card = inspect(model).card
    assert (card.name, card.licence) == ("Fields", "CC0")
    assert card.class_names == ["meadow", "sand", "lake"]
    assert card.accuracy["overall_accuracy"] == outcome["overall_accuracy"]
    assert "d_validation" in card.accuracy["data"]
    image = landscape / "images" / "d_validation.png"
    make_map(
        map_settings(str(image), inspect(model), tmp_path / "map.tif"),
        Progress(),
        lambda _path, _classes: None,
    )
    truth = gdal.Open(str(landscape / "labels" / "d_validation.png")).ReadAsArray()
    mapped = gdal.Open(str(tmp_path / "map.tif")).ReadAsArray()
    wanted = np.select([truth == 0, truth == 1, truth == 7], [1, 2, 3], 0)
    # What the card says is what the map reaches.
    reached = (mapped == wanted)[truth != 255].mean()
    assert reached == pytest.approx(outcome["overall_accuracy"], abs=0.002)
    report = json.loads((tmp_path / "m_training" / "report" / "report.json").read_text())
    assert report["examples"] == len(
        list((tmp_path / "m_training" / "report" / "examples").glob("*_truth.png"))
    )
    assert sum(map(sum, report["confusion"])) == (truth != 255).sum()
    assert not (tmp_path / "m_training" / "scenes").exists()


def test_cancel_leaves_the_best_model_and_the_same_request_goes_on(landscape, tmp_path):
    from scasnet_qgis.models.model_file import inspect

    request = _request(landscape, tmp_path, **LEARNING)
    progress = Impatient(0.5)
    outcome = train_task(request, progress)
    assert outcome["cancelled"]
    assert outcome["steps"] < 80
    assert f"{outcome['mean_iou']:.3f}" in progress.warnings[-1]
    assert inspect(tmp_path / "m.onnx").classes == 3
    again = train_task(request, Recorder())
    assert again["resumed"]
    assert again["steps"] == 80
    steps = [json.loads(line)["step"] for line in (tmp_path / "m_training" / "log.jsonl").open()]
    assert steps == sorted(steps)


def test_cancel_before_there_is_a_network_leaves_no_model(landscape, tmp_path):
    with pytest.raises(Cancelled):
        train_task(_request(landscape, tmp_path, **LEARNING), Impatient(0.0))
    assert list(tmp_path.iterdir()) == [], "nor an empty folder"


def test_a_training_that_fails_at_once_leaves_no_folder(landscape, tmp_path):
    with pytest.raises(ScasNetError, match=r"Band 9\b"):
        train_task(_request(landscape, tmp_path, band_numbers=[1, 2, 9]), Progress())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "m_training").mkdir()
    (tmp_path / "m_training" / "notes.txt").write_text("a user's")
    with pytest.raises(ScasNetError, match=r"Band 9\b"):
        train_task(_request(landscape, tmp_path, band_numbers=[1, 2, 9]), Progress())
    assert (tmp_path / "m_training" / "notes.txt").exists()


def test_training_with_other_settings_is_put_aside(landscape, tmp_path):
    _trainer(landscape, tmp_path / "work").save()
    progress = Recorder()
    second = prepared(_config(landscape, learning_rate=1e-3), tmp_path / "work", progress)
    assert second.step == 0
    assert "the learning rate differs" in progress.warnings[0]
    assert (tmp_path / "work_1" / "checkpoint").is_dir()


def test_training_with_other_labels_is_put_aside(landscape, tmp_path):
    import shutil

    shutil.copytree(landscape, tmp_path / "data")
    first = _trainer(tmp_path / "data", tmp_path / "work")
    first.step = 2
    first.save()
    assert _trainer(tmp_path / "data", tmp_path / "work").step == 2
    labels = gdal.Open(str(tmp_path / "data" / "labels" / "a.png")).ReadAsArray()
    _write(tmp_path / "data" / "labels" / "a.png", np.roll(labels, 3)[None])
    assert _trainer(tmp_path / "data", tmp_path / "work").step == 0
    assert (tmp_path / "work_1").is_dir()


def test_a_finished_training_goes_on_with_a_later_end_only(landscape, tmp_path):
    _trainer(landscape, tmp_path / "work").run()
    longer = _trainer(landscape, tmp_path / "work", steps=8)
    assert longer.step == 6
    assert _trainer(landscape, tmp_path / "work").step == 0
    assert (tmp_path / "work_1").is_dir()


def test_a_run_without_a_checkpoint_forgets_what_lies_there(landscape, tmp_path):
    trainer = _trainer(landscape, tmp_path)
    trainer.evaluate()
    assert (tmp_path / "best").is_dir()
    assert _trainer(landscape, tmp_path).best == -1.0
    assert not (tmp_path / "best").exists()


def test_a_resumed_run_keeps_a_best_network_newer_than_its_checkpoint(landscape, tmp_path):
    first = _trainer(landscape, tmp_path)
    first.save()
    first.evaluate()
    best = Checkpoint.load(tmp_path / "best")
    Checkpoint(best.tensors, {**best.state, "mean_iou": 0.9}).save(tmp_path / "best")
    second = _trainer(landscape, tmp_path)
    second.evaluate()
    assert Checkpoint.load(tmp_path / "best").state["mean_iou"] == 0.9


class SlowToMeasure(Trainer):
    """Its evaluations use up all the time there is."""

    def evaluate(self):
        found = super().evaluate()
        self.seconds += 1e6
        return found


def test_a_run_that_ends_with_an_evaluation_is_measured_once(landscape, tmp_path):
    ends = {"steps": None, "time_budget": 1e4, "evaluate_every": 1e-9}
    first = _trainer(landscape, tmp_path, **ends)
    scenes = (first.training, first.validation)
    trainer = SlowToMeasure(
        first.config, tmp_path, scenes, first.normalisation, first.facts, Progress()
    )
    trainer.run()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [record["step"] for record in records if "mean_iou" in record] == [1]
    saved = Checkpoint.load(tmp_path / "checkpoint")
    assert (saved.state["step"], saved.state["finished"]) == (1, True)


def test_what_was_logged_after_the_checkpoint_is_dropped(landscape, tmp_path):
    first = _trainer(landscape, tmp_path)
    first.step = 2
    first._log.loss(first.step, first.seconds, 1.0)
    first.save()
    first.step = 5
    first._log.loss(first.step, first.seconds, 0.5)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')  # the process was killed here
    _trainer(landscape, tmp_path)
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()] == [2]


def test_head_learns_as_published_and_every_weight_is_in_one_group(landscape, tmp_path):
    trainer = _trainer(landscape, tmp_path, optimizer="sgd", learning_rate=None)
    groups = trainer.optimizer.param_groups
    head = {id(weight) for weight in trainer.network.head.parameters()}
    assert [group["factor"] for group in groups] == [1.0, 20.0, 1.0]
    assert {id(weight) for weight in groups[1]["params"]} == head
    placed = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(placed) == sorted(map(id, trainer.network.parameters()))
    slow = make_optimizer(trainer.network, _config(Path()), encoder_knows=True)
    assert [group["factor"] for group in slow.param_groups] == [0.5, 1.0, 1.0]


def _labelled(rows: int, cols: int) -> Scene:
    labels = np.full((rows, cols), IGNORE, dtype=np.uint8)
    labels[:100, :250] = 1
    return Scene("one", np.zeros((3, rows, cols), dtype=np.uint8), labels, None)


def test_an_epoch_sees_each_labelled_place_about_once():
    schedule = Schedule(
        _config(Path(), crop=100, batch=2, steps=None, epochs=3), [_labelled(400, 400)]
    )
    assert schedule.steps_per_epoch == 2  # three squares of 100 pixels, two a step
    assert schedule.progress(3, 1e6) == 0.5
    assert schedule.epoch(6) == 3


def test_learning_rate_warms_up_and_falls_to_nothing():
    config = _config(Path(), steps=100, warm_up=10, learning_rate=1.0, decay_power=0.9)
    schedule = Schedule(config, [_labelled(100, 250)])
    rates = [schedule.learning_rate(step, 0.0) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates.index(max(rates)) <= 10
    assert rates[50] == pytest.approx(0.5**0.9)
    assert rates[100] == 0


def test_the_first_end_counts():
    both = _config(Path(), steps=100, time_budget=2.0)
    schedule = Schedule(both, [_labelled(100, 250)])
    assert schedule.progress(10, 60.0) == 0.5
    assert schedule.progress(90, 60.0) == 0.9
    endless = _config(Path(), steps=None)
    assert Schedule(endless, [_labelled(100, 250)]).progress(10**9, 1800.0) == 0.5


def test_evaluation_takes_no_more_than_its_share():
    timer = EvaluationTimer(_config(Path(), evaluate_every=1.0))
    assert not timer.due(10.0, 0.01)
    assert timer.due(10.0, 0.05)
    timer.evaluated(20.0, 10.0)
    assert not timer.due(100.0, 0.5)
    assert timer.due(120.0, 0.5)


def test_damaged_checkpoint_is_said(tmp_path):
    Checkpoint({"a": torch.zeros(3)}, {"step": 1}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "state.json").write_text("{")
    with pytest.raises(TrainingError, match="checkpoint"):
        Checkpoint.load(tmp_path / "checkpoint")


def test_full_disk_leaves_the_former_checkpoint(tmp_path):
    Checkpoint({"a": torch.ones(3)}, {"step": 4}).save(tmp_path / "checkpoint")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    try:
        with pytest.raises(OutputError, match=tmp_path.name):
            Checkpoint({"a": torch.ones(10**6)}, {"step": 5}).save(tmp_path / "checkpoint")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert Checkpoint.load(tmp_path / "checkpoint").state["step"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_checkpoint_of_an_interrupted_replacement_is_found(tmp_path):
    Checkpoint({"a": torch.ones(3)}, {"step": 4}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    found = Checkpoint.load(tmp_path / "checkpoint")
    assert found is not None
    assert found.state["step"] == 4
    # The trainer may be between its two renames, so reading must not take the name from it.
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.old"]


def test_the_only_checkpoint_stays_until_the_next_is_whole(tmp_path, monkeypatch):
    Checkpoint({"a": torch.ones(3)}, {"step": 4}).save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            Checkpoint({"a": torch.ones(3)}, {"step": 5}).save(tmp_path / "checkpoint")
    assert Checkpoint.load(tmp_path / "checkpoint").state["step"] == 4
    Checkpoint({"a": torch.ones(3)}, {"step": 5}).save(tmp_path / "checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def _interrupt(*_arguments):
    raise KeyboardInterrupt
