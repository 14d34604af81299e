"""Line charts: where the points lie, and what is left out."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from scasnet_qgis.core.charts import line_chart

from .pages import read

SVG = "{http://www.w3.org/2000/svg}"
LEFT, RIGHT, TOP, BOTTOM = 70, 744, 12, 272  # of the plot


def drawing(text: str) -> ET.Element:
    """The chart without its legend, as XML, which is stricter than HTML."""
    return ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])


def lines(text: str) -> list[list[list[tuple[float, float]]]]:
    """The runs of points of each line, the first line first."""
    groups = drawing(text).findall(f"{SVG}g")[::-1]
    return [
        [
            [tuple(map(float, each.split(","))) for each in run.get("points").split()]
            for run in group.findall(f"{SVG}polyline")
        ]
        for group in groups
    ]


def labels(text: str) -> list[str]:
    return [each.text or "" for each in drawing(text).findall(f"{SVG}text")]


def test_points_lie_where_the_axes_say() -> None:
    text = line_chart(
        {"a": [(0, 0), (5, 0.5), (10, 1)]}, x_label="Step", y_label="IoU", y_range=(0, 1)
    )
    expected = [(LEFT, BOTTOM), ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2), (RIGHT, TOP)]
    assert lines(text) == [[expected]]
    heights = {each.text: float(each.get("y", 0)) for each in drawing(text).findall(f"{SVG}text")}
    assert heights["0.4"] - 4 == pytest.approx(BOTTOM - 0.4 * (BOTTOM - TOP), abs=0.1)
    assert {"Step", "IoU"} <= set(labels(text))


def test_no_number_is_a_gap_and_a_lone_number_a_dot() -> None:
    points = [(0, 1), (1, 2), (2, math.nan), (3, 4), (4, math.inf), (5, 6), (math.nan, 3), (6, 7)]
    text = line_chart({"loss": points}, x_label="x", y_label="y")
    assert [len(run) for run in lines(text)[0]] == [2, 2]
    assert len(list(drawing(text).iter(f"{SVG}circle"))) == 1


def test_values_outside_the_range_lie_on_its_edge() -> None:
    text = line_chart({"a": [(0, -5), (1, 0.5), (2, 9)]}, x_label="", y_label="", y_range=(0, 1))
    assert [y for _, y in lines(text)[0][0]] == pytest.approx([BOTTOM, (TOP + BOTTOM) / 2, TOP])


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(5, 3)],
        [(0, 2), (1, 2)],
        [(0, math.nan)],
        [(0, 1e-9), (1, 2e-9)],
        [(0, -1e9), (9e6, 1e9)],
    ],
)
def test_odd_series_give_a_chart_with_ticks(points) -> None:
    text = line_chart({"a": points}, x_label="x", y_label="y")
    assert len(labels(text)) >= 6
    for each in lines(text)[0]:
        for x, y in each:
            assert LEFT <= x <= RIGHT
            assert TOP <= y <= BOTTOM


def test_many_points_are_thinned_but_not_their_extremes() -> None:
    points = [(step, math.sin(step / 900)) for step in range(50_000)]
    points[31_234] = (31_234, 40.0)
    text = line_chart({"a": points}, x_label="x", y_label="y", y_range=(-40, 40))
    assert len(text) < 60_000
    assert min(y for run in lines(text)[0] for _, y in run) == pytest.approx(TOP, abs=0.05)


def test_lines_are_named_and_differ_in_colour_and_dash() -> None:
    series = {f"class {index}": [(0, index), (1, index)] for index in range(30)}
    text = line_chart(series, x_label="Step", y_label="IoU")
    assert read(text).texts("li") == list(series)
    assert all(name in drawing(text).find(f"{SVG}title").text for name in series)
    looks = [
        (each.get("stroke"), each.get("stroke-dasharray"))
        for each in drawing(text).findall(f"{SVG}g")
    ]
    assert len(set(looks)) == 30
    assert drawing(text).get("role") == "img"
