"""Which class of a reference is which of a map: by name, else by value, else a sentence."""

from __future__ import annotations

import pytest

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.labels.class_matching import LEFT_OUT, match_classes, name_key
from scasnet_qgis.labels.label_class import IGNORE, LabelClass


def classes(*texts: str) -> list[LabelClass]:
    """ "1 water" is value and name; "3" is a value without a name."""
    parts = [text.partition(" ") for text in texts]
    return [LabelClass(v, name or (f"class {v}" if v.isdigit() else v), "#000000")
            for v, _, name in parts]  # fmt: skip


MAP = classes("1 building", "2 low vegetation", "3 water")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (classes("1 building", "2 low vegetation", "3 water"), (0, 1, 2)),
        (classes("7 Water", "8 LOW  Vegetation", "9 Building "), (2, 1, 0)),
        (classes("water", "lowvegetation"), (2, 1)),
        (classes("building Gebäude", "water Wasser"), (0, 2)),  # renamed in the legend
        (classes("3", "1"), (2, 0)),
        (classes("3 building", "1 water"), (0, 2)),  # names before values
    ],
)
def test_reference_classes_find_their_class_of_the_map(reference, expected) -> None:
    assert match_classes(reference, MAP).indices == expected


def test_sentence_says_what_is_what() -> None:
    text = str(match_classes(classes("9 Water", "1 Building"), MAP).sentence)
    assert "Water (9) = water (3), Building (1) = building (1)" in text
    text = str(match_classes(classes("3", "1"), MAP).sentence)
    assert "class 3 = water (3), class 1 = building (1)" in text


def test_a_map_without_names_is_matched_by_value() -> None:
    nameless = classes("1", "2", "3")
    assert match_classes(classes("2 forest", "3 lake"), nameless).indices == (1, 2)
    assert match_classes(classes("3", "1"), nameless).indices == (2, 0)


def test_a_mismatch_lists_both_sides() -> None:
    with pytest.raises(InputError) as caught:
        match_classes(classes("1 building", "4 forest"), MAP)
    assert list(caught.value.message.values.values()) == [
        "building (1), forest (4)",
        "building (1), low vegetation (2), water (3)",
    ]


def test_equal_values_do_not_make_up_for_different_names() -> None:
    with pytest.raises(InputError, match=r"forest \(1\), lake \(2\)"):
        match_classes(classes("1 forest", "2 lake"), MAP)


def test_a_long_list_is_cut() -> None:
    many = classes(*(f"{value} kind {value}" for value in range(100)))
    with pytest.raises(InputError, match=r"kind 39 \(39\).* 60 "):
        match_classes(many, MAP)


@pytest.mark.parametrize("text", ["forest", " FOREST ;", "4", "4.0,"])
def test_classes_can_be_left_out_by_name_or_value(text) -> None:
    match = match_classes(classes("1 building", "4 forest", "3 water"), MAP, text)
    assert match.indices == (0, LEFT_OUT, 2)
    assert "forest" not in str(match.sentence)
    table = match.table()
    assert table[:4].tolist() == [0, LEFT_OUT, 2, IGNORE]
    assert table[IGNORE] == IGNORE


def test_leaving_out_what_is_not_there_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"lake.*building \(1\)"):
        match_classes(classes("1 building"), MAP, "lake")


def test_leaving_out_everything_is_an_error() -> None:
    with pytest.raises(InputError):
        match_classes(classes("1 building"), MAP, "building")


def test_a_name_that_two_classes_of_the_map_have_is_refused() -> None:
    with pytest.raises(InputError, match="Water"):
        match_classes(classes("9 water"), classes("1 Water", "2 water"))
    assert match_classes(classes("1"), classes("1 Water", "2 water")).indices == (0,)


def test_names_are_compared_without_case_and_spaces() -> None:
    assert name_key(" Low Vegetation\t") == name_key("lowvegetation")
    assert name_key("STRASSE") == name_key("Straße")


@pytest.mark.parametrize("reference", [classes("0", "1", "2"), classes("0", "1", "2", "255")])
def test_labels_that_count_from_zero_are_recognised(reference) -> None:
    """Leaving 0 out would shift every class by one, and give an accuracy of nothing."""
    with pytest.raises(InputError, match=r"building \(1\), low vegetation \(2\), water \(3\)"):
        match_classes(reference, MAP)


@pytest.mark.parametrize("reference", [classes("0", "7", "8"), classes("0 sand", "5 ice")])
def test_other_values_are_not_taken_for_that(reference) -> None:
    with pytest.raises(
        InputError, match=r"building \(1\), low vegetation \(2\), water \(3\)"
    ) as caught:
        match_classes(reference, MAP)
    assert "add 1" not in caught.value.sentence
