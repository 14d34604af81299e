"""The three reports: for people, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.accuracy.area_estimation import area_adjusted
from scasnet_qgis.accuracy.options import EvaluationOptions
from scasnet_qgis.accuracy.report import csv_text, html_report, json_text
from scasnet_qgis.accuracy.request import (
    Assessment,
    AssessmentRequest,
    LeftOut,
    ReferenceSource,
    SampleFigures,
)
from scasnet_qgis.accuracy.run import Reports, evaluate
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import Cancelled, InputError, OutputError
from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.options import options_of
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.label_class import LabelClass
from tests.accuracy.conftest import name_classes, noisy, patches, request
from tests.common.pages import read

COUNTS = np.array([[40, 5, 0], [10, 45, 0], [0, 0, 0]])
BAD = '=HYPERLINK("http://x") <b>&</b>\n\''
PIXELS = (40_000_000, 10_000_000, 0)


def outcome(names: tuple[str, str, str] = ("Wald", "Äcker", "Teich"), **more: Any) -> Assessment:
    colors = ("#00aa00", "#ddcc00", "#0000ff")
    classes = tuple(
        LabelClass(str(value), name, color)
        for value, (name, color) in enumerate(zip(names, colors), 1)
    )
    settings = {
        "points": False,
        "left_out": (LeftOut(Message("without a class in the map"), 12_345),),
        "matching": Message("Classes are matched by name: {pairs}.", {"pairs": "a = a"}),
        **more,
    }
    return Assessment(classes=classes, matrix=ConfusionMatrix(COUNTS), **settings)


def sampled() -> Assessment:
    figures = area_adjusted(ConfusionMatrix(COUNTS), PIXELS)
    areas = tuple(0.25 * count for count in PIXELS)
    return outcome(points=True, adjusted=SampleFigures(figures, PIXELS, areas, "m2"))


def page(result: Assessment, **how: Any) -> str:
    text = read(html_report(request_of(**how), result))
    return " ".join(" ".join(text.strings).split())


def request_of(**how: Any) -> AssessmentRequest:
    reference = ReferenceSource("/data/truth.gpkg", True, "", "kind")
    return AssessmentRequest("/data/map.tif", (), reference, (), EvaluationOptions(**how))


def test_page_has_all_figures_and_says_how_they_came_about():
    text = page(outcome(boundary=7, not_adjusted=Message("Not given, because polygons.")))
    assert "map.tif" in text
    assert "Overall accuracy 85.0 %" in text
    assert "Cohen's kappa 0.7" in text
    assert "truth.gpkg" in text
    # precision, recall, F1, IoU, pixels of Äcker
    assert "Äcker 0.900 0.818 0.857 0.750 55 50" in text
    assert "Teich – – – – 0 0" in text
    assert "0.850 0.854 0.850 0.739 100 100" in text, "the means"
    assert "40 88.9 %" in text, "the share of the row in the heat map"
    assert "without a class in the map 12,345" in text
    assert "7 pixels" in text
    assert "Not given, because polygons." in text
    assert "Classes are matched by name: a = a." in text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("boundary", 7, "7"), ("ignored", "clutter; 9", "clutter; 9"), ("adjusted", "no", "no")],
)
def test_page_shows_each_setting(name, value, shown):
    page = read(html_report(request_of(**{name: value}), outcome()))
    table = page.all("table")[-1]
    rows = dict(zip(table.texts("th"), table.texts("td")))
    declared = options_of(EvaluationOptions)
    assert rows[declared[name].label] == shown
    assert list(rows) == [setting.label for setting in declared.values()]


def test_page_of_a_sample_has_intervals_and_areas_in_hectares():
    text = page(sampled())
    figures = sampled().adjusted.figures
    assert f"{figures.overall.value:.3f} ± {figures.overall.half_width:.3f}" in text
    assert "area (ha)" in text
    share = figures.shares[0]
    assert f"1,000 {share.value * 1250:,.0f} ± {share.half_width * 1250:.0f} 50" in text
    assert "Olofsson et al. 2014" in text


def test_texts_of_the_page_are_translated():
    said = html_report(request_of(), sampled(), lambda text: f"«{text}»")
    for tag in ("h1", "h2", "caption"):
        assert all(text.startswith("«") for text in read(said).texts(tag))


def test_names_cannot_become_markup():
    said = html_report(request_of(), outcome((BAD, "b", "c")))
    assert "<b>" not in said
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in said


def read_csv(result: Assessment) -> list[list[str]]:
    return list(csv.reader(csv_text(result).splitlines()))


def test_csv_has_the_matrix_and_a_row_for_each_class():
    rows = read_csv(outcome())
    assert rows[:6] == [
        ["reference \\ map", "Wald", "Äcker", "Teich", "total"],
        ["Wald", "40", "5", "0", "45"],
        ["Äcker", "10", "45", "0", "55"],
        ["Teich", "0", "0", "0", "0"],
        ["total", "50", "50", "0", "100"],
        [],
    ]
    assert rows[7] == ["Wald", "1", "0.8", "0.88888889", "0.84210526", "0.72727273",
                       "45", "50", "40"]  # fmt: skip
    assert rows[9] == ["Teich", "3", "", "", "", "", "0", "0", "0"]
    assert ["overall accuracy", "0.85"] in rows
    assert ["without a class in the map", "12345"] in rows
    assert '"Wald",40,5,0,45' in csv_text(outcome())


def test_csv_of_a_sample_has_the_areas():
    rows = read_csv(sampled())
    found = next(row for row in rows if row[:1] == ["area-adjusted"])
    assert found[5:] == ["mapped area (m2)", "area (m2)", "half width (95 %)"]
    forest = rows[rows.index(found) + 1]
    assert forest[5] == "10000000.0"
    assert float(forest[6]) == pytest.approx(sampled().adjusted.figures.shares[0].value * 12.5e6)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", BAD])
def test_no_name_is_a_formula(name):
    for row in read_csv(outcome((name, "b", "c"))):
        for cell in row:
            assert not cell.strip().startswith(("=", "+1", "-1", "@"))


def test_json_has_everything_and_null_for_what_is_not_defined():
    facts = json.loads(json_text(request_of(boundary=3), outcome(boundary=3)))
    assert facts["format"] == "scasnet-evaluation"
    assert facts["confusion"]["counts"] == COUNTS.tolist()
    assert facts["overall_accuracy"] == 0.85
    assert facts["kappa"] == pytest.approx(0.7)
    assert facts["boundary_pixels"] == 3
    assert [entry["name"] for entry in facts["classes"]] == ["Wald", "Äcker", "Teich"]
    assert facts["classes"][2]["iou"] is None
    assert facts["classes"][0]["precision"] == 0.8
    assert facts["left_out"] == [{"reason": "without a class in the map", "count": 12345}]
    assert facts["area_adjusted"] == {"given": False, "reason": None}


def test_json_of_a_sample_has_the_intervals():
    facts = json.loads(json_text(request_of(), sampled()))["area_adjusted"]
    figures = sampled().adjusted.figures
    assert facts["given"] is True
    assert facts["overall_accuracy"]["half_width"] == pytest.approx(figures.overall.half_width)
    forest, _, pond = facts["classes"]
    assert forest["area"]["value"] == pytest.approx(figures.shares[0].value * 12.5e6)
    assert forest["mapped_pixels"] == 40_000_000
    assert pond["users_accuracy"] == {"value": None, "half_width": None}
    assert "Äcker" in json_text(request_of(), sampled())


@pytest.fixture
def files(make_raster) -> tuple[str, str]:
    truth = patches(60, 70, 1)
    source = name_classes(make_raster(noisy(truth, 2), "map.tif"))
    return source, make_raster(truth, "truth.tif")


def reports_in(folder: Path) -> Reports:
    return Reports(folder / "report.html", folder / "tables.csv", folder / "figures.json")


def test_all_reports_are_written_together(files, tmp_path):
    folder = tmp_path / "Straße & more"
    folder.mkdir()
    result = evaluate(request(*files), reports_in(folder), Progress())
    assert sorted(path.name for path in folder.iterdir()) == [
        "figures.json", "report.html", "tables.csv",
    ]  # fmt: skip
    facts = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    assert facts["confusion"]["counts"] == result.matrix.counts.tolist()
    assert "building" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "tables.csv").read_bytes().startswith(b'"reference \\ map","building"')


def test_no_report_of_a_run_that_fails_or_is_cancelled(files, make_raster, tmp_path, recorder):
    reports = reports_in(tmp_path)
    reports.csv.write_text("old")
    before = sorted(path.name for path in tmp_path.iterdir())
    recorder.stop = True
    with pytest.raises(Cancelled):
        evaluate(request(*files), reports, recorder)
    away = make_raster(np.ones((9, 9), np.uint8), "truth.tif", geotransform=(0, 1, 0, 0, 0, -1))
    with pytest.raises(InputError):
        evaluate(request(files[0], away), reports, Progress())
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert reports.csv.read_text() == "old"


def test_an_input_is_not_overwritten(files):
    for name in files:
        with pytest.raises(OutputError, match=Path(name).name + " is also an input"):
            evaluate(request(*files), Reports(json=Path(name)), Progress())
