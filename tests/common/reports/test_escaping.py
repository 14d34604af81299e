"""Numbers and colours in reports."""

from __future__ import annotations

import math

import pytest

from scasnet_qgis.common.reports.escaping import (
    area_unit,
    count,
    decimal,
    luminance,
    percent,
    safe_color,
    shade,
    value_text,
)


@pytest.mark.parametrize("none", [None, math.nan, math.inf, -math.inf])
def test_no_number_is_a_dash(none) -> None:
    assert decimal(none) == percent(none) == count(none) == "–"


def test_numbers() -> None:
    assert decimal(0.91249) == "0.912"
    assert decimal(1234.5, 1) == "1,234.5"
    assert percent(0.1234) == "12.3 %"
    assert decimal(0.5, 0) == "0"
    assert percent(0.12345, 2) == "12.35 %"
    counts = {0: "0", 1234567: "1,234,567", 12.0: "12", 0.123456: "0.1235", 1234.6: "1,235"}
    assert {number: count(number) for number in counts} == counts


@pytest.mark.parametrize("none", [None, math.nan, math.inf, -math.inf, "", "nan", " None\n"])
def test_a_cell_without_value_is_a_dash(none) -> None:
    assert value_text(none) == "–"


def test_a_cell_holds_its_text_without_space_around() -> None:
    assert [value_text(value) for value in (" 7 < 8\n", 0, "none")] == ["7 &lt; 8", "0", "none"]


@pytest.mark.parametrize("color", ["", "red", "#12345", "#1234567", "#12345g", "#123456;x:y", None])
def test_only_plain_colours_get_into_a_style(color) -> None:
    assert safe_color(color) == "#ffffff"


@pytest.mark.parametrize("color", ["#c8502f", "#C8502F", "#012345"])
def test_plain_colours_are_kept(color) -> None:
    assert safe_color(color) == color


def contrast(first: str, second: str) -> float:
    """WCAG 2.1, success criterion 1.4.3."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("#ff0000", 0.2126),
        ("#00ff00", 0.7152),
        ("#0000ff", 0.0722),
        ("#808080", 0.2158605),
        # The last of the straight part and the first of the curve.
        ("#0a0a0a", 0.0030353),
        ("#0b0b0b", 0.0033465),
    ],
)
def test_luminance_is_that_of_wcag(color, expected) -> None:
    assert luminance(color) == pytest.approx(expected, abs=1e-7)


def test_every_shade_can_be_read_on_and_more_is_darker() -> None:
    shades = [shade(step / 200) for step in range(201)]
    assert min(contrast(back, text) for back, text in shades) >= 4.5
    lights = [luminance(back) for back, _ in shades]
    assert lights == sorted(lights, reverse=True)
    assert lights[0] - lights[-1] > 0.9
    assert shade(math.nan) == shade(-1) == shade(0)
    assert shade(7) == shade(1)


@pytest.mark.parametrize(
    ("square_metres", "unit"),
    [(0.0, "m²"), (9_999.0, "m²"), (10_000.0, "ha"), (99_999_999.0, "ha"), (1e8, "km²")],
)
def test_areas_have_the_unit_of_their_size(square_metres, unit) -> None:
    assert area_unit(square_metres)[0] == unit
