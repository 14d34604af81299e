"""Ranges of values as a user writes them: what they mean, and what is said where they are none."""

from __future__ import annotations

import pytest

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.images.value_scaling import ValueRange, parse_value_range


@pytest.mark.parametrize(
    ("text", "pairs", "percentiles", "written"),
    [
        ("0;2047", ((0.0, 2047.0),), False, "0.0;2047.0"),
        (" -1.5 ; 2 ;0; 1e16 ", ((-1.5, 2.0), (0.0, 1e16)), False, "-1.5;2.0;0.0;1e+16"),
        ("0;1;10;500;3;4", ((0.0, 1.0), (10.0, 500.0), (3.0, 4.0)), False, None),
        ("2%; 98%", ((2.0, 98.0),), True, "2.0%;98.0%"),
        ("0%;100%", ((0.0, 100.0),), True, "0.0%;100.0%"),
        ("0.5%;12.25%", ((0.5, 12.25),), True, "0.5%;12.25%"),
    ],
)
def test_what_a_range_means_and_how_it_is_written_out(
    text: str, pairs: tuple[tuple[float, float], ...], percentiles: bool, written: str | None
) -> None:
    """A description of a run holds it as written out, and repeats the run from that."""
    found = parse_value_range(text)
    assert found == ValueRange(pairs, percentiles)
    assert parse_value_range(str(found)) == found
    assert written in (None, str(found))


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_an_empty_text_is_no_range(text: str) -> None:
    assert parse_value_range(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "wide", "5", "5%", ";", "0;", "0;1;2", "0;inf", "-inf;0", "nan;1", "2%;98", "2;98%",
        "0%;100.5%", "-0.5%;98%", "-1%;101%", "1%;2%;3%;4%", "1%;2%;3%",
    ],
)  # fmt: skip
def test_what_is_no_range_is_repeated_with_an_example(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range(text)
    assert caught.value.message.values == {"text": text}


def test_the_log_says_which_number_is_none() -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range("0;high")
    assert "'high'" in caught.value.detail


@pytest.mark.parametrize("text", ["5;1.5", "5;5", "0;1;5;1.5", "50%;2%"])
def test_a_range_upside_down_is_told_with_its_two_values(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_value_range(text)
    low, high = text.replace("%", "").split(";")[-2:]
    assert [float(value) for value in caught.value.message.values.values()] == [
        float(low),
        float(high),
    ]


def test_one_pair_is_for_all_bands_and_several_are_one_for_each() -> None:
    one, three = ValueRange(((0.0, 9.0),)), ValueRange(((0.0, 1.0), (2.0, 3.0), (4.0, 5.0)))
    assert [one.of_bands(count) for count in (1, 3)] == [one.pairs, one.pairs * 3]
    assert three.of_bands(3) == three.pairs
    for count in (1, 2, 4):
        with pytest.raises(SettingError, match=rf"3.*\b{count}\b"):
            three.of_bands(count)
