"""The report of a comparison: figures, and what a reader is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import Message
from scasnet_qgis.training.export.report import Parity, notes_of, summary_of, write_report

LABELS = [[90, 10], [5, 95]]


def a_report(**changes: Any) -> dict[str, Any]:
    report: dict[str, Any] = {
        "name": "<b>coast</b>",
        "input": "/data/coast.onnx",
        "output": "/data/small.onnx",
        "precision": "int8",
        "fixed_size": None,
        "bytes": 2_500_000,
        "bytes_fp32": 10_000_000,
        "windows": 4,
        "pixels": 200,
        "largest_difference": 0.25,
        "labels_agreeing": 0.925,
        "seconds": 1.0,
        "seconds_fp32": 2.0,
        "classes": [{"name": "sea", "color": "#0000ff"}, {"name": "sand", "color": "#ffff00"}],
        "labels": LABELS,
        "overall_accuracy": None,
        "overall_accuracy_fp32": None,
        "mean_iou": None,
        "mean_iou_fp32": None,
        "confusion": None,
        "confusion_fp32": None,
        "reference": None,
        "raster": "/data/bay.tif",
        "calibrated_on": 5,
        "shared": False,
        "network_difference": None,
    }
    return {**report, **changes}


def judged() -> dict[str, Any]:
    return a_report(
        overall_accuracy=0.8765,
        overall_accuracy_fp32=0.8811,
        mean_iou=float("nan"),
        mean_iou_fp32=0.7,
        confusion=[[80, 20], [10, 90]],
        confusion_fp32=[[85, 15], [10, 90]],
        reference="/data/truth.gpkg",
    )


def parity() -> Parity:
    empty = ConfusionMatrix.empty(2)
    return Parity(empty, empty, empty)


def test_windows_add_up() -> None:
    """Ten pixels: two without data, one that changes its class, one that the reference lacks."""
    found = parity()
    first = np.full(10, 0.7, dtype=np.float32)
    second = first.copy()
    second[[3, 9]] = 0.2
    valid = np.ones(10, dtype=bool)
    valid[[0, 9]] = False
    reference = np.zeros(10, dtype=np.uint8)
    reference[5] = 255
    stacks = [np.stack([score, 1 - score])[:, None] for score in (first, second)]
    for _ in range(2):
        found.add(*stacks, valid[None], reference[None])
    assert found.windows == 2
    np.testing.assert_array_equal(found.labels.counts, [[14, 2], [0, 0]])
    assert found.agreeing == 14 / 16
    assert found.largest_difference == np.float32(0.7) - np.float32(0.2)
    np.testing.assert_array_equal(found.exact.counts, [[14, 0], [0, 0]])
    np.testing.assert_array_equal(found.other.counts, [[12, 2], [0, 0]])


def test_a_window_without_data_adds_nothing() -> None:
    found = parity()
    scores = np.full((2, 4, 4), 0.5, dtype=np.float32)
    found.add(scores, 0 * scores, np.zeros((4, 4), dtype=bool), None)
    assert (found.labels.total, found.largest_difference) == (0, 0.0)


def test_the_log_names_the_figures() -> None:
    lines = [str(line) for line in summary_of(a_report())]
    assert "92.50 %" in lines[0]
    assert "0.25" in lines[0]
    assert "bay.tif" in lines[0]
    assert "2.5 MB" in lines[-1]
    assert "10.0 MB" in lines[-1]
    assert "50 %" in lines[-1]
    assert len(lines) == 2
    lines = [str(line) for line in summary_of(judged())]
    assert "0.8765" in lines[1]
    assert "0.8811" in lines[1]


def test_what_should_make_a_user_think_is_said() -> None:
    def notes(**changes: Any) -> str:
        return " ".join(str(note) for note in notes_of(a_report(**changes)))

    assert "92.5 %" in notes()
    assert notes(labels_agreeing=0.99) == ""
    assert notes(labels_agreeing=0.99, shared=True) != ""
    assert notes(labels_agreeing=0.99, shared=True, calibrated_on=0) == "", "nothing was calibrated"


def test_the_page_is_whole_translated_and_escaped(tmp_path) -> None:
    def shouted(text: Message) -> str:
        return text.filled(text.template.upper()) if not text.values else str(text)

    write_report(judged(), tmp_path / "report.html", shouted)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<b>" not in text
    assert "&lt;b&gt;coast&lt;/b&gt;" in text
    for part in ("92.50 %", "87.65 %", "88.11 %", "truth.gpkg", "CLASSES", "sea", "#ffff00"):
        assert part in text, part
    assert "90.00 %" in text, "of the sea the same"
    assert 'class="warning"' in text
    write_report(a_report(labels_agreeing=0.99), tmp_path / "report.htm")
    plain = (tmp_path / "report.htm").read_text(encoding="utf-8")
    assert "Overall accuracy" not in plain
    assert 'class="warning"' not in plain


def test_json_has_every_figure_and_no_nan(tmp_path) -> None:
    write_report(judged(), tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda _: 1 / 0)
    assert content["labels_agreeing"] == 0.925
    assert content["mean_iou"] is None
    assert content["confusion"] == [[80, 20], [10, 90]]
    assert "92.5 %" in content["notes"][0]
