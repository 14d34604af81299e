"""Each setting of a training: whether it makes another run, and that the report shows it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.options import given, options_of
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.checkpoint import CHECKPOINT, Checkpoint
from scasnet_qgis.training.report import write_report
from scasnet_qgis.training.run import claim
from scasnet_qgis.training.settings.config import TrainingConfig
from tests.common.pages import read
from tests.training.work_folder import write_work

CLASSES = [{"value": index, "name": f"kind {index}"} for index in range(2)]
BEGUN = TrainingConfig(data=[], classes=CLASSES)
# Another value of each setting.
CHANGES: dict[str, Any] = {
    "data": [{"image": "b.tif", "labels": "c.tif"}],
    "classes": [*CLASSES, {"value": 2, "name": "kind 2"}],
    "folder": "elsewhere",
    "bands": ["red", "green"],
    "band_numbers": [4, 3, 2],
    "value_range": (0.0, 4000.0),
    "validation_share": 0.25,
    "block": 77,
    "variant": "resnet",
    "width": 0.125,
    "start_from": "nothing",
    "epochs": 7,
    "steps": 9000,
    "time_budget": 33.0,
    "crop": 96,
    "batch": 5,
    "optimizer": "sgd",
    "learning_rate": 0.0123,
    "encoder_rate": 0.75,
    "head_rate": 3.0,
    "weight_decay": 0.0625,
    "momentum": 0.625,
    "warm_up": 17,
    "decay_power": 1.5,
    "gradient_clip": 2.5,
    "average": 0.96875,
    "class_weight_power": 0.375,
    "balanced_share": 0.4375,
    "scale_range": (0.5, 2.0),
    "evaluate_every": 12.5,
    "checkpoint_every": 4.25,
    "device": "cuda",
    "threads": 3,
    "precision": "single",
    "seed": 4711,
    "phases": [{"step": 4, "crop": 48}],
    "card": {"name": "Wetland"},
}
# When a run ends, where it runs and what it is called; data are compared by their files.
FREE = {
    *("data", "folder", "epochs", "steps", "time_budget", "card", "device", "threads"),
    *("precision", "evaluate_every", "checkpoint_every"),
}


def test_every_setting_is_declared_and_tried_here():
    declared = options_of(TrainingConfig)
    assert set(declared) == {setting.name for setting in fields(TrainingConfig)} == set(CHANGES)
    assert {name for name, setting in declared.items() if not setting.part_of_identity} == FREE


@pytest.mark.parametrize("name", CHANGES)
def test_exactly_what_makes_another_run_stops_a_resume(name: str, tmp_path: Path):
    work = tmp_path / "work"
    assert not claim(work, BEGUN, [], Progress())
    Checkpoint({"a": torch.zeros(1)}, {"step": 4}).save(work / CHECKPOINT)
    changed = replace(BEGUN, **{name: CHANGES[name]})
    assert claim(work, changed, [], Progress()) == (name in FREE)
    assert (tmp_path / "work_1").exists() == (name not in FREE)


@pytest.mark.parametrize("name", CHANGES)
def test_report_shows_each_setting(name: str, tmp_path: Path):
    changed = replace(BEGUN, **{name: CHANGES[name]})
    rows = {}
    for config in (BEGUN, changed):
        write_work(tmp_path / "work", settings=given(config))
        write_report(tmp_path / "work", tmp_path / "report.html", str)
        page = read((tmp_path / "report.html").read_text(encoding="utf-8"))
        table = page.all("table")[-1]
        rows[config is changed] = dict(zip(table.texts("th"), table.texts("td")))
    label = options_of(TrainingConfig)[name].label
    assert set(rows[False]) == set(rows[True])
    assert {key for key in rows[True] if rows[True][key] != rows[False][key]} == {label}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crop": 8}, "crop"),
        ({"batch": 0}, "batch"),
        ({"average": 1.5}, "average"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"validation_share": 1.0}, "0.*1"),
        ({"device": "tpu"}, "'tpu'.*auto, cpu, cuda"),
        ({"variant": "unet"}, "'unet'.*compact, vgg, resnet"),
        ({"optimizer": "adam"}, "'adam'.*adamw, sgd"),
        ({"phases": [{"crop": 96}]}, "step"),
        ({"phases": [{"step": 4, "learning_rate": 1}]}, "learning_rate"),
    ],
)
def test_values_that_cannot_work_are_refused(changes: dict[str, Any], said: str):
    with pytest.raises(SettingError, match=said):
        replace(BEGUN, **changes)


def test_keys_with_a_typing_error_are_refused(tmp_path: Path):
    settings = {"data": [], "classes": CLASSES, "learnign_rate": 1}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(SettingError, match="learnign_rate"):
        TrainingConfig.read(tmp_path / "settings.json")


def test_phases_change_settings_from_their_step_on():
    phases = [{"step": 4, "crop": 96, "batch": 1}, {"step": 2, "batch": 5}]
    config = replace(BEGUN, crop=64, batch=2, phases=phases)
    found = [(config.at(step).crop, config.at(step).batch) for step in range(6)]
    assert found == [(64, 2), (64, 2), (64, 5), (64, 5), (96, 1), (96, 1)]
