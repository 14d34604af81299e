"""The report on a training, from a made-up work folder."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import OutputError, TrainingError
from scasnet_qgis.common.messages import message
from scasnet_qgis.training.report import (
    EXAMPLES,
    LOG,
    REPORT,
    label_picture,
    read_examples,
    save_examples,
    write_report,
)
from scasnet_qgis.training.worker.protocol import text_parts
from tests.common.pages import Element, read
from tests.training.work_folder import COLORS, example, records, write_log, write_work

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
    assert len(page.all("section")) == 8
    assert page.texts("pre") == ["qgis_process run scasnet:train -- INPUT=a.tif"]
    assert not page.all("script")
    assert not page.all("b"), "names of classes are text"


def test_figures(work: Path) -> None:
    summary, settings = report(work).all("table")[0], report(work).all("table")[-1]
    assert summary.texts("td") == ["0.850", "0.739", "200", "400", "4.0"]
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
    colors = [square.attributes["style"] for square in table.all("span")]
    assert colors == ["background:#0000ff", "background:#ff0000"]


def charts(page: Element) -> list[str]:
    return [chart.texts("title")[0] for chart in page.all("svg") if chart.all("title")]


def test_curves_are_named_and_drawn(work: Path) -> None:
    loss, accuracy, classes, rate = charts(report(work))
    assert all("Epoch" in title for title in (loss, accuracy, classes, rate))
    assert "Overall accuracy, Mean IoU" in accuracy
    assert "water, <b>town</b>" in classes


def test_a_short_run_is_shown_by_steps(work: Path) -> None:
    write_log(work, [{**record, "epoch": record["step"] / 1000} for record in records()])
    loss = charts(report(work))[0]
    assert "Step" in loss
    assert "Epoch" not in loss


def test_examples_are_inside(work: Path) -> None:
    pictures = report(work).all("img")
    captions = ["Image 1", "Reference 1", "Map 1", "Image 2", "Reference 2", "Map 2"]
    assert [picture.attributes["alt"] for picture in pictures] == captions
    content = base64.b64decode(pictures[4].attributes["src"].split(",")[1])
    assert content == (work / EXAMPLES / "02_truth.png").read_bytes()


def test_what_went_wrong_is_said_first(work: Path) -> None:
    note = message("{name} has {count} polygons only.", name="<i>water</i>", count=3)
    write_work(
        work, finished=False, confusion=[[80, 20], [0, 0]], notes=[text_parts(note)], examples=0
    )
    page = report(work, lambda text: text.replace("polygons only", "Polygone"))
    warnings = [part.text for part in page.all("p") if part.attributes.get("class") == "warning"]
    assert len(warnings) == 3
    assert warnings[1].endswith("<b>town</b>")
    assert warnings[2] == "<i>water</i> has 3 Polygone."
    assert not page.all("img"), "no examples"


def test_everything_is_translated(work: Path) -> None:
    def shout(text: str) -> str:
        return text if "{" in text else text.upper()

    page = report(work, shout)
    for tag in ("h2", "caption"):
        assert all(text == text.upper() for text in page.texts(tag))
    assert page.all("html")[0].attributes["lang"] == "EN"
    assert page.texts("th")[0] == page.texts("th")[0].upper()


def test_run_without_an_evaluation(work: Path) -> None:
    """Stopped so early that nothing but losses is known."""
    unknown = {"confusion": None, "overall_accuracy": None, "mean_iou": None}
    write_work(work, examples=0, finished=False, **unknown)
    write_log(work, [record for record in records(80) if "loss" in record])
    page = report(work)
    assert page.texts("td")[:2] == ["–", "–"]
    assert not [table for table in page.all("table") if table.attributes.get("class") == "heat"]


def test_run_without_a_logged_loss(work: Path) -> None:
    """So short that only its evaluations were logged."""
    write_log(work, [record for record in records() if "loss" not in record])
    accuracy, classes = charts(report(work))
    assert "Mean IoU" in accuracy
    assert "water" in classes


def test_254_classes(work: Path) -> None:
    classes = [{"name": f"class {index}", "color": "#123456"} for index in range(254)]
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
def test_broken_folder_is_an_error_and_leaves_the_old_report(work: Path, harm) -> None:
    output = work.parent / "report.html"
    output.write_text("old")
    harm(work)
    with pytest.raises(TrainingError, match="model_training"):
        write_report(work, output, english)
    assert output.read_text() == "old"
    assert sorted(path.name for path in work.parent.iterdir()) == ["model_training", "report.html"]


def test_missing_folder_is_the_same_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere"):
        write_report(tmp_path / "nowhere", tmp_path / "report.html", english)
    assert not list(tmp_path.iterdir())


def test_report_that_cannot_be_written(work: Path) -> None:
    with pytest.raises(OutputError, match="missing"):
        write_report(work, work.parent / "missing" / "report.html", english)
    (work.parent / "folder.html").mkdir()
    with pytest.raises(OutputError, match=r"folder\.html"):
        write_report(work, work.parent / "folder.html", english)
    assert sorted(path.name for path in work.parent.iterdir()) == ["folder.html", "model_training"]


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


def pixels(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


def test_three_pictures_for_each_example(tmp_path: Path) -> None:
    image, truth, prediction = example(5)
    save_examples(tmp_path / "new" / "examples", [example(4), (image, truth, prediction)], COLORS)
    folder = tmp_path / "new" / "examples"
    kinds = ("image", "prediction", "truth")
    expected = [f"0{number}_{kind}.png" for number in (1, 2) for kind in kinds]
    assert sorted(path.name for path in folder.iterdir()) == expected
    np.testing.assert_array_equal(pixels(folder / "02_image.png"), image)
    shown = pixels(folder / "02_prediction.png")
    blue, red = np.array([0, 0, 255]), np.array([255, 0, 0])
    wanted = np.where((prediction == 0)[..., None], blue, red).transpose(2, 0, 1)
    np.testing.assert_array_equal(shown, wanted)


def test_no_class_is_a_light_grey_ground() -> None:
    _, truth, _ = example(1)
    picture = label_picture(truth, COLORS)
    nothing = picture[:, truth == 255]
    assert (nothing == nothing[0]).all(), "grey"
    assert nothing.min() > 200
    assert len(np.unique(nothing)) == 2, "chequered"
    assert set(map(tuple, picture[:, truth < 255].T)) == {(0, 0, 255), (255, 0, 0)}


def test_earlier_examples_are_gone(tmp_path: Path) -> None:
    save_examples(tmp_path, [example(seed) for seed in range(3)], COLORS)
    (tmp_path / "notes.png").write_text("the user's own")
    save_examples(tmp_path, [example(9)], COLORS)
    assert len(read_examples(tmp_path)) == 1
    assert (tmp_path / "notes.png").exists()
    assert len(list(tmp_path.iterdir())) == 4


def test_they_are_read_in_their_order(tmp_path: Path) -> None:
    save_examples(tmp_path, [example(seed) for seed in range(11)], COLORS)
    found = read_examples(tmp_path)
    assert len(found) == 11
    assert found[9][2] == (tmp_path / "10_prediction.png").read_bytes()
    assert read_examples(tmp_path / "nowhere") == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="examples"):
        save_examples(tmp_path / "file" / "examples", [example(1)], COLORS)
