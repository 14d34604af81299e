"""Confusion matrices as pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest

from scasnet_qgis.core.heat_map import MOST_WITH_TEXT, heat_map
from scasnet_qgis.core.markup import shade

from .pages import read

COUNTS = np.array([[900, 100, 0], [1, 2, 1], [0, 0, 0]])
NAMES = ["water", "wood", "town"]


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
    styles = [each.attributes["style"] for each in part.all("td")]
    expected = [0.9, 0.1, 0, 0.25, 0.5, 0.25, 0, 0, 0]
    assert styles == ["background:{};color:{}".format(*shade(each)) for each in expected]


def test_what_agrees_is_outlined_by_name_not_by_place() -> None:
    part = read(heat_map(COUNTS[:, :2], NAMES, ["wood", "town"], corner="", caption=""))
    hits = [each.attributes.get("class") == "hit" for each in part.all("td")]
    assert hits == [False, False, True, False, False, True]


def test_shares_of_an_area_are_counts_too() -> None:
    values = np.array([[0.25, 0.0625], [np.nan, 0.5]])
    cells = read(heat_map(values, NAMES[:2], NAMES[:2], corner="", caption="")).texts("td")
    assert cells == ["0.2580.0 %", "0.062520.0 %", "––", "0.5100.0 %"]


@pytest.mark.parametrize("shape", [(MOST_WITH_TEXT, 2), (2, MOST_WITH_TEXT)])
def test_as_many_as_can_be_read_are_a_table(shape) -> None:
    rows, cols = ([f"class {index}" for index in range(size)] for size in shape)
    part = read(heat_map(np.ones(shape), rows, cols, corner="", caption=""))
    assert len(part.all("td")) == 2 * MOST_WITH_TEXT


@pytest.mark.parametrize("classes", [MOST_WITH_TEXT + 1, 254])
def test_many_classes_are_drawn(classes) -> None:
    random = np.random.default_rng(0)
    counts = random.integers(0, 9, (classes, classes)) + np.diag(random.integers(50, 5000, classes))
    counts[3] = 0
    names = [f"class with a rather long name {index}" for index in range(classes)]
    text = heat_map(counts, names, names, corner="reference", caption="Pixels")
    assert len(text) < 6_000_000
    part = read(text)
    assert len(part.texts("text")) == 2 * classes
    assert max(len(each) for each in part.texts("text")) <= 24
    told = {each.text for each in part.all("rect") if each.text}
    share = 100 * counts[7, 7] / counts[7].sum()
    assert f"{names[7]} → {names[7]}: {counts[7, 7]:,} ({share:.1f} %)" in told
    assert not any(each.startswith(f"{names[3]} →") for each in told)
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    for each in part.all("rect"):
        place = {key: float(each.attributes[key]) for key in ("x", "y", "width", "height")}
        assert place["x"] + place["width"] <= width
        assert place["y"] + place["height"] <= height


def test_names_of_a_drawing_stand_at_their_cells_and_are_inside() -> None:
    rows = ["water", "wood"]
    cols = [f"c{index}" for index in range(98)] + ["x" * 24, "y" * 25]
    counts = np.eye(2, 100)
    counts[1, 99] = 1
    part = read(heat_map(counts, rows, cols, corner="", caption=""))
    cells = [
        (float(each.attributes["x"]), float(each.attributes["y"]))
        for each in part.all("rect")
        if each.text
    ]
    # Six pixels a letter and twelve around it all; a cell has eleven.
    left, top = 12 + 6 * 5, 12 + 6 * 24
    assert cells == [(left, top), (left + 11, top + 11), (left + 99 * 11, top + 11)]
    (svg,) = part.all("svg")
    assert svg.attributes["viewbox"] == f"0 0 {left + 100 * 11 + 12} {top + 2 * 11 + 12}"
    names = part.all("text")
    assert [each.text for each in names] == [*rows, *cols[:99], "y" * 23 + "…"]
    for name, y in zip(names, (top, top + 11)):
        assert (name.attributes["x"], name.attributes["y"]) == (str(left - 4), str(y + 9))
    assert names[-1].attributes["transform"] == (
        f"translate({left + 99 * 11 + 9} {top - 4}) rotate(-90)"
    )


def test_a_drawing_leaves_out_what_would_be_white() -> None:
    counts = np.zeros((25, 25))
    counts[4, :3] = 993, 4, 3
    names = [f"class {index}" for index in range(25)]
    part = read(heat_map(counts, names, names, corner="", caption=""))
    assert [each.text for each in part.all("rect")] == [
        "class 4 → class 0: 993 (99.3 %)",
        "class 4 → class 1: 4 (0.4 %)",
        "",
    ]


@pytest.mark.parametrize(("corner", "said"), [("reference", "Pixels (reference)"), ("", "Pixels")])
def test_a_drawing_says_what_its_sides_are(corner, said) -> None:
    names = ["a"] * 25
    part = read(heat_map(np.ones((25, 25)), names, names, corner=corner, caption="Pixels"))
    assert part.texts("figcaption") == [said]
    assert part.all("svg")[0].texts("title")[0] == said


def test_no_classes_no_failure() -> None:
    assert read(heat_map(np.zeros((0, 0)), [], [], corner="a", caption="b")).texts("caption") == [
        "b"
    ]


@pytest.mark.parametrize(("rows", "cols", "size"), [(0, 25, "0 0 299 30"), (25, 0, "0 0 30 299")])
def test_a_drawing_may_have_one_side_only(rows, cols, size) -> None:
    part = read(heat_map(np.zeros((rows, cols)), ["a"] * rows, ["b"] * cols, corner="", caption=""))
    assert part.all("svg")[0].attributes["viewbox"] == size
    assert len(part.texts("text")) == 25
