"""Numbers and colours in reports."""

from __future__ import annotations

import math

import pytest

from scasnet_qgis.core.markup import count, decimal, luminance, percent, safe_color, shade


@pytest.mark.parametrize("none", [None, math.nan, math.inf, -math.inf])
def test_no_number_is_a_dash(none) -> None:
    assert decimal(none) == percent(none) == count(none) == "–"


def test_numbers() -> None:
    assert decimal(0.91249) == "0.912"
    assert decimal(1234.5, 1) == "1,234.5"
    assert percent(0.1234) == "12.3 %"
    assert [count(each) for each in (0, 1234567, 12.0, 0.123456)] == [
        "0",
        "1,234,567",
        "12",
        "0.1235",
    ]


@pytest.mark.parametrize("color", ["", "red", "#12345", "#1234567", "#12345g", "#123456;x:y", None])
def test_only_plain_colours_get_into_a_style(color) -> None:
    assert safe_color(color) == "#ffffff"


def contrast(first: str, second: str) -> float:
    """WCAG 2.1, success criterion 1.4.3."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert luminance("#777777") == pytest.approx(0.1845, abs=1e-3)


def test_every_shade_can_be_read_on_and_more_is_darker() -> None:
    shades = [shade(step / 200) for step in range(201)]
    assert min(contrast(back, text) for back, text in shades) >= 4.5
    lights = [luminance(back) for back, _ in shades]
    assert lights == sorted(lights, reverse=True)
    assert lights[0] - lights[-1] > 0.9
    assert shade(math.nan) == shade(-1) == shade(0)
    assert shade(7) == shade(1)
