"""Charts: what they show, that they are well formed, and that their size is bounded."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from scasnet_qgis.common.reports.charts import MAX_TABLE_CLASSES, heat_map, line_chart
from scasnet_qgis.common.reports.escaping import shade
from tests.common.pages import read

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = np.array([[900, 100, 0], [1, 2, 1], [0, 0, 0]])
NAMES = ["water", "wood", "town"]


def drawing(text: str) -> ET.Element:
    """The chart without its key, as XML, which is stricter than HTML."""
    return ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])


def lines(text: str) -> list[list[list[tuple[float, ...]]]]:
    """The runs of points of each line, the first line first."""
    return [
        [
            [tuple(map(float, point.split(","))) for point in run.get("points", "").split()]
            for run in group.findall(f"{SVG}polyline")
        ]
        for group in drawing(text).findall(f"{SVG}g")[::-1]
    ]


def labels(text: str) -> list[str]:
    return [label.text or "" for label in drawing(text).findall(f"{SVG}text")]


def test_points_lie_in_proportion_and_the_axes_are_named() -> None:
    text = line_chart(
        {"a": [(0, 0), (5, 0.5), (10, 1)]}, x_label="Step", y_label="IoU", y_range=(0, 1)
    )
    ((((left, bottom), middle, (right, top)),),) = lines(text)
    assert left < right
    assert top < bottom, "SVG counts downwards"
    assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=0.1)
    assert {"Step", "IoU", "0.4", "1", "10"} <= set(labels(text))
    assert drawing(text).findtext(f"{SVG}title") == "IoU / Step: a"


def test_no_number_is_a_gap_and_a_lone_number_a_dot() -> None:
    points = [(0, 1), (1, 2), (2, math.nan), (3, 4), (4, math.inf), (5, 6), (math.nan, 3), (6, 7)]
    text = line_chart({"loss": points}, x_label="x", y_label="y")
    assert [len(run) for run in lines(text)[0]] == [2, 2]
    assert len(list(drawing(text).iter(f"{SVG}circle"))) == 1


def test_values_outside_the_range_lie_on_its_edge() -> None:
    inside = line_chart({"a": [(0, 0), (1, 0.5), (2, 1)]}, x_label="", y_label="", y_range=(0, 1))
    beyond = line_chart({"a": [(0, -5), (1, 0.5), (2, 9)]}, x_label="", y_label="", y_range=(0, 1))
    assert lines(beyond) == lines(inside)


@pytest.mark.parametrize("y_range", [None, (3, 3), (2, 1)])
@pytest.mark.parametrize(
    "points",
    [
        [],
        [(5, 3)],
        [(0, 0)],
        [(0, 2), (1, 2)],
        [(0, -4), (1, -4)],
        [(0, math.nan)],
        [(0, 1), (1, 1 + 5e-10)],
        [(0, 1e-9), (1, 2e-9)],
        [(0, -1e9), (9e6, 1e9)],
    ],
)
def test_odd_series_give_a_chart_with_ticks_and_stay_inside(points, y_range) -> None:
    text = line_chart({"a": points}, x_label="x", y_label="y", y_range=y_range)
    assert len(labels(text)) >= 6
    width, height = (float(drawing(text).get(side, 0)) for side in ("width", "height"))
    for run in lines(text)[0]:
        for x, y in run:
            assert 0 <= x <= width
            assert 0 <= y <= height


@pytest.mark.parametrize(
    ("y_range", "expected"),
    [
        ((0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ((0, 7), ["0", "2", "4", "6"]),
        ((-7, 35), ["0", "10", "20", "30"]),
        ((500, 2000), ["500", "1,000", "1,500", "2,000"]),
        ((-2000, 0), ["-2,000", "-1,500", "-1,000", "-500", "0"]),
        # What rounding of the limits or of the step may not cost.
        ((0.1, 0.7), ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
        ((0.3, 0.9), ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]),
    ],
)
def test_ticks_are_round_and_include_the_limits(y_range, expected) -> None:
    text = line_chart({"a": [(0, 0), (10, 0)]}, x_label="", y_label="", y_range=y_range)
    shown = [label for label in labels(text) if label]
    assert shown == [*expected, "0", "2", "4", "6", "8", "10"]


def test_an_axis_of_positive_values_does_not_go_below_zero() -> None:
    text = line_chart({"a": [(0, 0.01), (1, 1)]}, x_label="", y_label="")
    assert not [label for label in labels(text) if label.startswith("-")]


def test_many_points_are_thinned_but_not_their_extremes() -> None:
    # Of each four in a row the second and the third; of one stretch there is nothing.
    points = [(step, (0, 5, -5, 1)[step % 4]) for step in range(3000)]
    points[400:404] = [(step, math.nan) for step in range(400, 404)]
    points[800] = (800, math.nan)
    text = line_chart({"a": points}, x_label="x", y_label="y", y_range=(-5, 5))
    first, second = lines(text)[0]
    assert (len(first), len(second)) == (200, 1298), "the gap stays"
    assert len({y for _, y in first + second}) == 2, "highest and lowest only"
    assert first == sorted(first)


def test_lines_are_named_and_differ_in_colour_or_dashes() -> None:
    series = {f"class {index}": [(0, index), (1, index)] for index in range(30)}
    text = line_chart(series, x_label="Step", y_label="IoU")
    assert read(text).texts("li") == list(series)
    strokes = [
        (group.get("stroke"), group.get("stroke-dasharray"))
        for group in drawing(text).findall(f"{SVG}g")
    ]
    assert len(set(strokes)) == 30
    key = ET.fromstring(text[text.index("<ul") : text.index("</ul>") + 5])
    shown = [(path.get("stroke"), path.get("stroke-dasharray")) for path in key.iter("path")]
    assert shown == strokes[::-1], "the first line is drawn last, above the others"


def test_others_than_the_first_are_faint_where_they_have_very_many_points() -> None:
    series = {name: [(step, step) for step in range(400)] for name in ("mean", "single")}
    groups = drawing(line_chart(series, x_label="x", y_label="y")).findall(f"{SVG}g")
    assert [group.get("opacity") is None for group in groups[::-1]] == [True, False]


# QGIS shows warnings to the user.
@pytest.mark.filterwarnings("error")
def test_cells_hold_counts_and_shares_of_the_row() -> None:
    part = read(heat_map(COUNTS, NAMES, NAMES, corner="reference", caption="Pixels"))
    assert part.texts("caption") == ["Pixels"]
    assert part.texts("th") == ["reference", *NAMES, *NAMES]
    cells = part.texts("td")
    assert cells[:3] == ["90090.0 %", "10010.0 %", "0"]
    assert cells[3:6] == ["125.0 %", "250.0 %", "125.0 %"]
    assert cells[6:] == ["0", "0", "0"]
    styles = [cell.attributes["style"] for cell in part.all("td")]
    expected = [0.9, 0.1, 0, 0.25, 0.5, 0.25, 0, 0, 0]
    assert styles == ["background:{};color:{}".format(*shade(share)) for share in expected]


def test_what_agrees_is_outlined_by_name_not_by_place() -> None:
    part = read(heat_map(COUNTS[:, :2], NAMES, ["wood", "town"], corner="", caption=""))
    hits = [cell.attributes.get("class") == "hit" for cell in part.all("td")]
    assert hits == [False, False, True, False, False, True]


def test_shares_of_an_area_are_counts_too() -> None:
    values = np.array([[0.25, 0.0625], [np.nan, 0.5]])
    cells = read(heat_map(values, NAMES[:2], NAMES[:2], corner="", caption="")).texts("td")
    assert cells == ["0.2580.0 %", "0.062520.0 %", "––", "0.5100.0 %"]


@pytest.mark.parametrize("shape", [(MAX_TABLE_CLASSES, 2), (2, MAX_TABLE_CLASSES)])
def test_as_many_as_can_be_read_are_a_table(shape) -> None:
    rows, cols = ([f"class {index}" for index in range(size)] for size in shape)
    part = read(heat_map(np.ones(shape), rows, cols, corner="", caption=""))
    assert len(part.all("td")) == 2 * MAX_TABLE_CLASSES


@pytest.mark.parametrize("classes", [MAX_TABLE_CLASSES + 1, 254])
def test_many_classes_are_drawn_inside_of_the_picture(classes) -> None:
    random = np.random.default_rng(0)
    counts = random.integers(0, 9, (classes, classes)) + np.diag(random.integers(50, 5000, classes))
    counts[3] = 0
    names = [f"class with a rather long name {index}" for index in range(classes)]
    text = heat_map(counts, names, names, corner="reference", caption="Pixels")
    assert len(text) < 6_000_000
    part = read(text)
    assert part.texts("figcaption") == ["Pixels (reference)"]
    assert len(part.texts("text")) == 2 * classes
    assert max(map(len, part.texts("text"))) <= 24
    told = {square.text for square in part.all("rect") if square.text}
    share = 100 * counts[7, 7] / counts[7].sum()
    assert f"{names[7]} → {names[7]}: {counts[7, 7]:,} ({share:.1f} %)" in told
    assert not any(title.startswith(f"{names[3]} →") for title in told)
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    for square in part.all("rect"):
        x, y, wide, high = (float(square.attributes[key]) for key in ("x", "y", "width", "height"))
        assert x + wide <= width
        assert y + high <= height


def test_a_drawing_leaves_out_what_would_be_white() -> None:
    counts = np.zeros((25, 25))
    counts[4, :3] = 993, 4, 3
    names = [f"class {index}" for index in range(25)]
    part = read(heat_map(counts, names, names, corner="", caption=""))
    assert [square.text for square in part.all("rect")] == [
        "class 4 → class 0: 993 (99.3 %)",
        "class 4 → class 1: 4 (0.4 %)",
        "",
    ]


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (0, 25), (25, 0)])
def test_no_classes_no_failure(rows, cols) -> None:
    names = ["a"] * rows, ["b"] * cols
    part = read(heat_map(np.zeros((rows, cols)), *names, corner="", caption="Pixels"))
    assert "Pixels" in part.text
