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


def ticks(text: str) -> tuple[list[str], list[str]]:
    """The numbers along the axis upwards and along the one across."""
    texts = drawing(text).findall(f"{SVG}text")
    up = [each.text or "" for each in texts if each.get("text-anchor") == "end"]
    return up, [each.text or "" for each in texts if each.get("y") == f"{BOTTOM + 19:.1f}"]


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
    (dot,) = drawing(text).iter(f"{SVG}circle")
    assert float(dot.get("cx")) == LEFT + (RIGHT - LEFT) / 2, "at 3 of 0 to 6"
    assert dot.get("cy") == f"{BOTTOM - (4 - 0.64) / (7.36 - 0.64) * (BOTTOM - TOP):.1f}"


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


@pytest.mark.parametrize(
    ("y_range", "expected"),
    [
        ((0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ((0, 3), ["0", "0.5", "1", "1.5", "2", "2.5", "3"]),
        ((0, 7), ["0", "2", "4", "6"]),
        ((-7, 35), ["0", "10", "20", "30"]),
        ((0, 0.42), ["0", "0.1", "0.2", "0.3", "0.4"]),
        ((500, 2000), ["500", "1,000", "1,500", "2,000"]),
        ((-2000, 0), ["-2,000", "-1,500", "-1,000", "-500", "0"]),
        # What rounding of the limits or of the step may not cost.
        ((0.1, 0.7), ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
        ((0.3, 0.9), ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]),
    ],
)
def test_ticks_are_round_and_include_the_limits(y_range, expected) -> None:
    text = line_chart({"a": [(0, 0), (10, 0)]}, x_label="", y_label="", y_range=y_range)
    assert ticks(text) == (expected, ["0", "2", "4", "6", "8", "10"])


@pytest.mark.parametrize(("last", "step"), [(8, 1), (9, 2)])
def test_at_most_nine_ticks_stand_side_by_side(last, step) -> None:
    text = line_chart({"a": [(0, 0), (last, 1)]}, x_label="", y_label="")
    assert ticks(text)[1] == [str(each) for each in range(0, last + 1, step)]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([(0, 0)], ["-0.4", "-0.2", "0", "0.2", "0.4"]),
        ([(0, 4)], ["2", "3", "4", "5", "6"]),
    ],
)
def test_without_two_values_there_are_ticks_all_the_same(points, expected) -> None:
    assert ticks(line_chart({"a": points}, x_label="", y_label=""))[0] == expected


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ((1, 2), 0.94, 2.06),
        ((-1, 1), -1.12, 1.12),
        ((-2, -1), -2.06, -0.94),
        # Nothing negative, nothing below zero.
        ((0, 1), 0, 1.06),
        ((0.01, 1), 0, 1.0594),
        # One and the same value lies in the middle.
        ((0, 0), -0.5, 0.5),
        ((4, 4), 2, 6),
        ((-4, -4), -6, -2),
        ((1, 1 + 5e-10), 0.5, 1.5),
    ],
)
@pytest.mark.parametrize("y_range", [None, (3, 3), (2, 1)])
def test_without_a_range_the_axis_spans_the_values(values, low, high, y_range) -> None:
    text = line_chart({"a": enumerate(values)}, x_label="", y_label="", y_range=y_range)
    heights = [BOTTOM - (each - low) / (high - low) * (BOTTOM - TOP) for each in values]
    ((run,),) = lines(text)
    assert [y for _, y in run] == pytest.approx(heights, abs=0.051)
    assert [x for x, _ in run] == [LEFT, RIGHT]


def test_the_frame_and_what_stands_around_it() -> None:
    text = line_chart({"a": [(0, 0), (2, 1)]}, x_label="Step", y_label="IoU", y_range=(0, 1))
    svg = drawing(text)
    assert svg.findtext(f"{SVG}title") == "IoU / Step: a"
    rules = [
        tuple(float(each.get(key)) for key in ("x1", "y1", "x2", "y2"))
        for each in svg.findall(f"{SVG}line")
    ]
    heights, places = [272, 220, 168, 116, 64, 12], [70, 238.5, 407, 575.5, 744]
    assert rules[:6] == [(LEFT, y, RIGHT, y) for y in heights], "a line for each tick"
    assert rules[6:] == [(x, BOTTOM, x, BOTTOM + 5) for x in places], "a notch for each tick"
    texts = [
        (each.text, float(each.get("x")), float(each.get("y")), each.get("text-anchor"))
        for each in svg.findall(f"{SVG}text")
        if each.get("x")
    ]
    assert texts[:2] == [("0", LEFT - 8, BOTTOM + 4, "end"), ("0.2", LEFT - 8, 224, "end")]
    assert texts[7] == ("0.5", 238.5, BOTTOM + 19, "middle")
    middle = (LEFT + RIGHT) / 2
    assert texts[-1] == ("Step", middle, 312, "middle"), "inside of the 320 pixels"
    (label,) = [each for each in svg.findall(f"{SVG}text") if each.get("transform")]
    assert (label.text, label.get("transform")) == ("IoU", "translate(16 142) rotate(-90)")
    (frame,) = svg.findall(f"{SVG}polyline")
    assert frame.get("points") == f"{LEFT},{TOP} {LEFT},{BOTTOM} {RIGHT},{BOTTOM}"


def test_many_points_are_thinned_but_not_their_extremes() -> None:
    # Of each four in a row the second and the third; of one stretch there is nothing.
    points = [(step, (0, 5, -5, 1)[step % 4]) for step in range(3000)]
    points[400:404] = [(step, math.nan) for step in range(400, 404)]
    points[800] = (800, math.nan)
    text = line_chart({"a": points}, x_label="x", y_label="y", y_range=(-5, 5))
    first, second = lines(text)[0]
    assert (len(first), len(second)) == (200, 1298), "the gap stays"
    assert {y for _, y in first[::2] + second[::2]} == {TOP}
    assert {y for _, y in first[1::2] + second[1::2]} == {BOTTOM}
    assert first[0][0] == pytest.approx(LEFT + 1 / 2998 * (RIGHT - LEFT), abs=0.5)


@pytest.mark.parametrize(("points", "drawn"), [(1500, 1500), (1501, 501)])
def test_as_many_points_as_the_eye_tells_apart_are_all_drawn(points, drawn) -> None:
    text = line_chart({"a": [(step, 7) for step in range(points)]}, x_label="x", y_label="y")
    assert [len(run) for run in lines(text)[0]] == [drawn]


def test_others_than_the_first_are_faint_where_they_have_very_many_points() -> None:
    series = {
        name: [(step, step) for step in range(size)]
        for name, size in (("first", 301), ("long", 301), ("short", 300))
    }
    groups = drawing(line_chart(series, x_label="x", y_label="y")).findall(f"{SVG}g")
    pens = [(each.get("stroke-width"), each.get("opacity")) for each in groups[::-1]]
    assert pens == [("2", None), ("1", "0.5"), ("2", None)]


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
    assert looks[-1][1] is None, "one line alone has no dashes"
    keys = [
        (each.get("stroke"), each.get("stroke-dasharray"))
        for item in ET.fromstring(text[text.index("<ul") : text.index("</ul>") + 5])
        for each in item.iter("line")
    ]
    assert keys == looks[::-1], "the first line is drawn last, above the others"
    assert drawing(text).get("role") == "img"
