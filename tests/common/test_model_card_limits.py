"""What lies on the limits of a model card: what is still read, and what is left out."""

from __future__ import annotations

import json

import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import default_color, from_metadata


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("scasnet_width", "1e-6", "width", 1e-6),
        ("scasnet_width", "9e-7", "width", None),
        ("scasnet_width", "1000", "width", 1000),
        ("scasnet_width", "1000.5", "width", None),
        ("scasnet_value_range", "[-1e12, 1e12]", "value_range", (-1e12, 1e12)),
        ("scasnet_value_range", "[-2e12, 1]", "value_range", (0, 255)),
        ("scasnet_value_range", "[1, 2e12]", "value_range", (0, 255)),
        ("scasnet_value_range", "[1, 1]", "value_range", (0, 255)),
        ("scasnet_value_range", "[0, 1, 2]", "value_range", (0, 255)),
        ("scasnet_resolution", "[1e-6, 1e6]", "resolution", (1e-6, 1e6)),
        ("scasnet_resolution", "[0.5, 0.5]", "resolution", (0.5, 0.5)),
        ("scasnet_resolution", "[9e-7, 1]", "resolution", None),
        ("scasnet_resolution", "[1, 1000000.5]", "resolution", None),
        ("scasnet_resolution", "[0.5, 0.4]", "resolution", None),
        ("scasnet_resolution", "[1, 2, 3]", "resolution", None),
        ("resolution", "0.0001", "resolution", (1e-6, 1e-6)),
        ("resolution", "0.00009", "resolution", None),
        ("resolution", "1e8", "resolution", (1e6, 1e6)),
        ("resolution", "100000000.5", "resolution", None),
        ("tile_size", "8", "tile_size", 8),
        ("tile_size", "7", "tile_size", 512),
        ("tile_size", "16384", "tile_size", 16384),
        ("tile_size", "16384.5", "tile_size", 512),
        ("tiles_size", "64", "tile_size", 64),
        ("scasnet_overlap", "0", "overlap", 0),
        ("scasnet_overlap", "-1", "overlap", 128),
        ("scasnet_overlap", "1", "overlap", 1),
        ("scasnet_overlap", "16384", "overlap", 256),
        ("scasnet_overlap", "16384.5", "overlap", 128),
        ("tiles_overlap", "0", "overlap", 0),
        ("tiles_overlap", "-1", "overlap", 128),
        ("tiles_overlap", "10", "overlap", 51),
        ("tiles_overlap", "90", "overlap", 256),
        ("tiles_overlap", "90.5", "overlap", 128),
        ("scasnet_version", "1", "version", 1),
        ("scasnet_version", "-1", "version", 1),
        ("scasnet_version", '"old"', "version", 1),
        ("scasnet_bands", '["a", "b", "c"]', "bands", ("a", "b", "c")),
        ("scasnet_bands", '["a", "b"]', "bands", ("red", "green", "blue")),
        ("scasnet_bands", '["a", "", "c"]', "bands", ("red", "green", "blue")),
        ("scasnet_bands", '"abc"', "bands", ("red", "green", "blue")),
    ],
)
def test_a_value_counts_up_to_its_limit_and_is_as_missing_beyond(
    key: str, text: str, field: str, value: object
) -> None:
    assert getattr(from_metadata({key: text}, 3, 2), field) == pytest.approx(value)


@pytest.mark.parametrize(
    ("mean", "std", "taken"),
    [
        ([-1e6, 0, 1e6], [1e-9, 1, 1e6], True),
        ([-1000000.5, 0, 0], [1, 1, 1], False),
        ([0, 0, 1000000.5], [1, 1, 1], False),
        ([0, 0, 0], [1, 1, 9e-10], False),
        ([0, 0, 0], [1, 1, 1000000.5], False),
        ([0, 0], [1, 1, 1], False),
        ([0, 0, 0], [1, 1], False),
        ([0, 0, 0], None, False),
        (None, [1, 1, 1], False),
    ],
)
@pytest.mark.parametrize("peer", [True, False])
def test_mean_and_deviation_count_together_or_not_at_all(
    mean: object, std: object, taken: bool, peer: bool
) -> None:
    keys = (
        ("standardization_mean", "standardization_std") if peer else ("scasnet_mean", "scasnet_std")
    )
    card = from_metadata({keys[0]: json.dumps(mean), keys[1]: json.dumps(std)}, 3, 2)
    expected = (mean, std) if taken else ([0.5] * 3, [0.25] * 3)
    assert ([*card.mean], [*card.std]) == expected
    assert card.standardise == (taken and peer)


def test_accuracy_is_kept_up_to_its_limits() -> None:
    whole = {
        "data": "part 8",
        "overall_accuracy": 0.0,
        "mean_iou": 1.0,
        "iou": {"a": 0.0, "b": 1.0, "c": None},
        "confusion": [[0, 10**15], [1, 2]],
    }
    assert from_metadata({"scasnet_accuracy": json.dumps(whole)}, 3, 2).accuracy == whole
    odd = {"data": 7, "overall_accuracy": -0.01, "mean_iou": 1.01, "iou": {"a": -0.01, "b": 1.01}}
    card = from_metadata({"scasnet_accuracy": json.dumps(odd)}, 3, 2)
    assert card.accuracy == {"data": "7", "iou": {"a": None, "b": None}}
    assert from_metadata({"scasnet_accuracy": "[1]"}, 3, 2).accuracy == {}


@pytest.mark.parametrize(
    "confusion",
    [
        [[0, -1], [1, 2]],
        [[0, 1e15 + 0.5], [1, 2]],
        [[1, 2]],
        [[1], [2]],
        [],
        [[1, 2], [3]],
        {"0": [1]},
        "[[1]]",
        [[1] * 255] * 255,
    ],
)
def test_a_confusion_that_is_none_is_left_out(confusion: object) -> None:
    text = json.dumps({"confusion": confusion})
    assert from_metadata({"scasnet_accuracy": text}, 3, 2).accuracy == {}


def test_the_most_classes_have_their_names_colours_and_shares() -> None:
    names = [f"class number {index}" for index in range(254)]
    colors = [f"#0000{index:02x}" for index in range(254)]
    accuracy = json.dumps({"iou": dict.fromkeys([*names, "one more"], 0.5)})
    for text in (json.dumps([*names, "one more"]), json.dumps(dict(enumerate([*names, "more"])))):
        metadata = {"class_names": text, "scasnet_colors": json.dumps(colors)}
        card = from_metadata({**metadata, "scasnet_accuracy": accuracy}, 3, 254)
        assert card.class_names == names
        assert [model_class.color for model_class in card.classes] == colors
        assert list(card.accuracy["iou"]) == names
    more = from_metadata({"scasnet_colors": json.dumps([*colors, "#ffffff"])}, 3, 1)
    assert more.classes[0].color == default_color(0), "no list for this many classes"


def test_colours_may_be_fewer_than_classes() -> None:
    card = from_metadata({"scasnet_colors": '["#000001"]'}, 3, 2)
    assert [model_class.color for model_class in card.classes] == ["#000001", default_color(1)]
    card = from_metadata({"scasnet_colors": '"#000001"'}, 3, 2)
    assert [model_class.color for model_class in card.classes] == [
        default_color(0),
        default_color(1),
    ]


def test_only_the_background_of_one_channel_is_grey() -> None:
    one = from_metadata({}, 3, 2, sigmoid=True)
    assert [(model_class.name, model_class.color) for model_class in one.classes] == [
        ("background", "#d9d9d9"), ("class 1", default_color(1)),
    ]  # fmt: skip
    assert from_metadata({}, 3, 2).classes[0].color == default_color(0)
    given = from_metadata({"scasnet_colors": '["#000001"]'}, 3, 2, sigmoid=True)
    assert given.classes[0].color == "#000001"


def test_half_a_tile_of_odd_size_is_whole_pixels() -> None:
    card = from_metadata({"tile_size": "17", "scasnet_overlap": "16"}, 3, 2)
    assert (card.tile_size, card.overlap) == (17, 8)
    assert isinstance(card.overlap, int)


def test_a_confusion_may_be_of_one_class() -> None:
    card = from_metadata({"scasnet_accuracy": '{"confusion": [[5]]}'}, 3, 1)
    assert card.accuracy == {"confusion": [[5]]}


def test_texts_are_read_up_to_four_million_characters_in_all() -> None:
    """Also where they are spread over many keys."""
    keys = ("name", "training_data", "licence", "attribution")
    metadata = {f"scasnet_{key}": '"' + key[0] * 999_998 + '"' for key in keys}
    assert from_metadata(metadata, 3, 2).attribution == "a" * 4000
    with pytest.raises(ModelError) as caught:
        from_metadata({**metadata, "names": "7"}, 3, 2)
    assert caught.value.detail == "4000001 characters in all"


def test_a_newer_format_is_named_in_the_log() -> None:
    with pytest.raises(ModelError) as caught:
        from_metadata({"scasnet_version": "1.5"}, 3, 2)
    assert caught.value.detail == "format version 1.5, known up to 1"
