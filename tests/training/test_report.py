"""The report about a training, from a made-up work folder."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scasnet_qgis.core.errors import OutputError, TrainingError
from scasnet_qgis.core.messages import message
from scasnet_qgis.training.events import text_parts
from scasnet_qgis.training.report import EXAMPLES, LOG, REPORT, write_report

from ..core.pages import Element, read
from .work_folder import records, write_log, write_work

ROOT = Path(__file__).parents[2]


def english(text: str) -> str:
    return text


def report(work: Path, tr=english) -> Element:
    output = work.parent / "report.html"
    write_report(work, output, tr)
    return read(output.read_text(encoding="utf-8"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "model_training"
    write_work(folder)
    return folder


def test_it_has_all_parts(work: Path) -> None:
    page = report(work)
    assert page.texts("h1") == ["Training report: wetland"]
    assert page.texts("h2") == [
        "Result",
        "Course of the training",
        "Accuracy of the classes",
        "Examples",
        "Data",
        "Settings",
        "How to repeat it",
    ]
    assert page.texts("pre") == ["qgis_process run scasnet:train -- INPUT=a.tif"]
    assert not page.all("script")
    assert not page.all("b"), "names of classes are text"


def test_figures(work: Path) -> None:
    summary, settings = report(work).all("table")[0], report(work).all("table")[-1]
    assert dict(zip(summary.texts("th"), summary.texts("td"))) == {
        "Overall accuracy": "0.850",
        "Mean IoU": "0.739",
        "Validation pixels": "200",
        "Training steps": "400",
        "Minutes of training": "4.0",
    }
    assert dict(zip(settings.texts("th"), settings.texts("td"))) == {
        "Network": "vgg",
        "Network width": "0.25",
        "Epochs": "–",
        "Random scaling": "0.8, 1.25",
    }


def test_table_of_the_classes_against_numbers_worked_out_by_hand(work: Path) -> None:
    table = report(work).all("table")[1]
    rows = [[*row.texts("th"), *row.texts("td")] for row in table.all("tr")[1:]]
    assert rows == [
        ["water", "100", f"{80 / 90:.3f}", "0.800", f"{160 / 190:.3f}", f"{80 / 110:.3f}"],
        ["<b>town</b>", "100", f"{90 / 110:.3f}", "0.900", f"{180 / 210:.3f}", "0.750"],
        ["Mean", "200", "0.854", "0.850", "0.850", "0.739"],
    ]
    colors = [each.attributes["style"] for each in table.all("span")]
    assert colors == ["background:#0000ff", "background:#ff0000"]


def test_curves_are_named_and_drawn(work: Path) -> None:
    titles = [each.text for each in report(work).all("svg") if each.all("title")]
    assert [each.split("\n")[0].split(" / ")[0] for each in report(work).texts("title")[1:]] == [
        "Loss",
        "Accuracy of the validation",
        "IoU of each class",
        "Learning rate",
    ]
    assert all("Epoch" in each for each in titles)
    assert "Overall accuracy, Mean IoU" in titles[1]


def test_a_short_run_is_shown_by_steps(work: Path) -> None:
    write_log(work, [{**each, "epoch": each["step"] / 1000} for each in records()])
    charts = report(work).texts("svg")
    assert "Step" in charts[0]
    assert "Epoch" not in charts[0]


def test_examples_are_inside(work: Path) -> None:
    pictures = report(work).all("img")
    captions = ["Image 1", "Reference 1", "Map 1", "Image 2", "Reference 2", "Map 2"]
    assert [each.attributes["alt"] for each in pictures] == captions
    content = base64.b64decode(pictures[4].attributes["src"].split(",")[1])
    assert content == (work / EXAMPLES / "02_truth.png").read_bytes()


def test_what_went_wrong_is_said_first(work: Path) -> None:
    note = message("{name} has {count} polygons only.", name="<i>water</i>", count=3)
    write_work(
        work, finished=False, confusion=[[80, 20], [0, 0]], notes=[text_parts(note)], examples=0
    )
    page = report(work, lambda text: text.replace("polygons only", "Polygone"))
    warnings = [each.text for each in page.all("p") if each.attributes.get("class") == "warning"]
    assert len(warnings) == 3
    assert "stopped before its end" in warnings[0]
    assert warnings[1].endswith("<b>town</b>")
    assert warnings[2] == "<i>water</i> has 3 Polygone."
    assert "Examples" not in page.texts("h2")


def test_everything_is_translated(work: Path) -> None:
    def shout(text: str) -> str:
        return text if "{" in text else text.upper()

    page = report(work, shout)
    for tag in ("h2", "caption"):
        assert all(each == each.upper() for each in page.texts(tag))
    assert page.all("html")[0].attributes["lang"] == "EN"
    assert page.texts("th")[0] == "OVERALL ACCURACY"


def test_run_without_an_evaluation(work: Path) -> None:
    """Stopped so early that nothing but losses is known."""
    write_log(work, [each for each in records(80) if "loss" in each])
    write_work_changes = {"confusion": None, "overall_accuracy": None, "mean_iou": None}
    write_work(work, examples=0, finished=False, **write_work_changes)
    write_log(work, [each for each in records(80) if "loss" in each])
    page = report(work)
    assert page.texts("td")[:2] == ["–", "–"]
    assert "Accuracy of the classes" not in page.texts("h2")


def test_run_without_a_logged_loss(work: Path) -> None:
    """So short that only its evaluations were logged."""
    write_log(work, [each for each in records() if "loss" not in each])
    page = report(work)
    assert "Course of the training" in page.texts("h2")
    names = [each.split("\n")[0].split(" / ")[0] for each in page.texts("title")[1:]]
    assert names == ["Accuracy of the validation", "IoU of each class"]


def test_254_classes(work: Path) -> None:
    classes = [{"name": f"class {each}", "color": "#123456"} for each in range(254)]
    write_work(work, classes=classes, confusion=[[1] * 254] * 254)
    page = report(work)
    assert len(page.all("table")[1].all("tr")) == 256
    assert (work.parent / "report.html").stat().st_size < 10_000_000


@pytest.mark.parametrize(
    "harm",
    [
        lambda work: (work / REPORT).unlink(),
        lambda work: (work / LOG).unlink(),
        lambda work: (work / REPORT).write_text('{"title": "wet'),
        lambda work: (work / REPORT).write_text("[1, 2]"),
        lambda work: (work / REPORT).write_bytes(b"\xff\xfe\x00"),
        lambda work: (work / EXAMPLES / "01_truth.png").unlink(),
        lambda work: write_work(work, confusion=[[1, 2, 3]]),
        lambda work: write_work(work, classes=[{"name": "a"}]),
        lambda work: write_work(work, classes=None),
        lambda work: write_work(work, overall_accuracy="good"),
        lambda work: write_work(work, notes=[{"template": "{a}", "values": {"b": 1}}]),
        lambda work: write_work(work, settings=[1]),
    ],
)
def test_broken_folder_is_one_sentence_and_leaves_the_old_report(work: Path, harm) -> None:
    output = work.parent / "report.html"
    output.write_text("old")
    harm(work)
    with pytest.raises(TrainingError, match="model_training"):
        write_report(work, output, english)
    assert output.read_text() == "old"
    assert sorted(each.name for each in work.parent.iterdir()) == ["model_training", "report.html"]


def test_missing_folder_is_the_same_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere"):
        write_report(tmp_path / "nowhere", tmp_path / "report.html", english)
    assert not list(tmp_path.iterdir())


def test_report_that_cannot_be_written(work: Path) -> None:
    with pytest.raises(OutputError, match="missing"):
        write_report(work, work.parent / "missing" / "report.html", english)
    (work.parent / "folder.html").mkdir()
    with pytest.raises(OutputError, match=r"folder\.html"):
        write_report(work, work.parent / "folder.html", english)
    assert sorted(each.name for each in work.parent.iterdir()) == ["folder.html", "model_training"]


def test_it_needs_no_pytorch() -> None:
    """It is written inside QGIS, whose Python may have none."""
    script = "import sys, scasnet_qgis.training.report\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
