"""The curves of a training log."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from scasnet_qgis.training.run_log import History, smoothed
from tests.training.work_folder import records, write_log


def history(work: Path, *arguments) -> History:
    write_log(work, *arguments)
    return History.read(work / "log.jsonl")


def test_losses_and_evaluations_are_told_apart(tmp_path: Path) -> None:
    found = history(tmp_path, records())
    assert found.steps == 400
    assert found.minutes == 4.0
    assert found.in_epochs
    assert found.curve("loss")[0] == (20 / 50, 5.0)
    assert found.curve("mean_iou") == [(2, 0.1), (4, 0.2), (6, 0.3), (8, 0.4)]
    assert found.class_curve("water") == [(2, 0.5), (4, 0.5), (6, 0.5), (8, 0.5)]
    assert all(math.isnan(y) for _, y in found.class_curve("<b>town</b>"))


def test_lines_that_are_no_records_are_left_out(tmp_path: Path) -> None:
    more = '[1]\n{"loss": 3}\n\nnonsense\n{"step": "a"}\n{"step": 420, "lo'
    assert history(tmp_path, records(), more) == history(tmp_path, records())


def test_a_resumed_run_is_shown_once(tmp_path: Path) -> None:
    """Killed at step 400, gone on from its checkpoint at step 250, with other losses."""
    again = [{**record, "minutes": 9.0} for record in records(400, first=260)]
    found = history(tmp_path, [*records(), *again])
    steps = [record["step"] for record in found.losses]
    assert steps == list(range(20, 401, 20))
    assert [record["minutes"] for record in found.losses if record["step"] > 250] == [9.0] * 8
    assert [record["step"] for record in found.scores] == [100, 200, 300, 400]


def test_an_empty_log(tmp_path: Path) -> None:
    found = history(tmp_path, [])
    assert found.steps == 0
    assert math.isnan(found.minutes)
    assert not found.in_epochs
    assert found.curve("loss") == []


def test_a_loss_that_was_no_number_is_a_gap(tmp_path: Path) -> None:
    found = history(tmp_path, [{"step": 20, "loss": None}, {"step": 40, "loss": 1.5}])
    assert math.isnan(found.curve("loss")[0][1])
    assert smoothed(found.curve("loss")) == [(40, 1.5)]


def test_running_mean_is_that_of_its_neighbours() -> None:
    values = np.random.default_rng(0).random(1000)
    curve = smoothed(list(enumerate(values)))
    assert len(curve) == 200
    for place, mean in curve:
        part = values[max(int(place) - 20, 0) : int(place) + 21]
        assert mean == pytest.approx(part.mean())
    assert (curve[0][0], curve[-1][0]) == (0, 999)


def test_running_mean_of_little() -> None:
    assert smoothed([]) == []
    assert smoothed([(0, math.nan)]) == []
    assert smoothed([(0, 3.0), (1, 5.0)]) == [(0, 3.0), (1, 5.0)]
