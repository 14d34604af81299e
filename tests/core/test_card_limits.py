"""What lies on the limits of a model card: what is still taken, and what each sentence says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from scasnet_qgis.core.card import (
    ModelCard,
    ModelClass,
    check_class_count,
    default_bands,
    default_color,
    from_metadata,
    to_metadata,
)
from scasnet_qgis.core.errors import ModelError

CARD = ModelCard("x", (ModelClass("a", "#000000"), ModelClass("b", "#ffffff")))


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


@pytest.mark.parametrize(
    "confusion",
    [
        [[0, -1], [1, 2]],
        [[0, 1e15 + 0.5], [1, 2]],
        [[1, 2]],
        [[1], [2]],
        [],
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
        assert [each.color for each in card.classes] == colors
        assert list(card.accuracy["iou"]) == names
    more = from_metadata({"scasnet_colors": json.dumps([*colors, "#ffffff"])}, 3, 1)
    assert more.classes[0].color == default_color(0), "no list for this many classes"


def test_colours_may_be_fewer_than_classes() -> None:
    card = from_metadata({"scasnet_colors": '["#000001"]'}, 3, 2)
    assert [each.color for each in card.classes] == ["#000001", default_color(1)]
    card = from_metadata({"scasnet_colors": '"#000001"'}, 3, 2)
    assert [each.color for each in card.classes] == [default_color(0), default_color(1)]


def test_only_the_background_of_one_channel_is_grey() -> None:
    one = from_metadata({}, 3, 2, sigmoid=True)
    assert [(each.name, each.color) for each in one.classes] == [
        ("background", "#d9d9d9"), ("class 1", default_color(1)),
    ]  # fmt: skip
    assert from_metadata({}, 3, 2).classes[0].color == default_color(0)
    given = from_metadata({"scasnet_colors": '["#000001"]'}, 3, 2, sigmoid=True)
    assert given.classes[0].color == "#000001"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"-1": "z", "0.5": "y", "0": "a", "1e0": "b"}', ["a", "b"]),
        ('{"0": " ", "1": "b"}', ["class 0", "b"]),
        ("[]", ["class 0", "class 1"]),
        ("[[]]", ["class 0", "class 1"]),
        ("7", ["class 0", "class 1"]),
    ],
)
def test_a_key_that_is_no_index_and_a_name_that_is_empty_are_left_out(
    text: str, names: list[str]
) -> None:
    assert from_metadata({"class_names": text}, 3, 2).class_names == names


def test_half_a_tile_of_odd_size_is_whole_pixels() -> None:
    card = from_metadata({"tile_size": "17", "scasnet_overlap": "16"}, 3, 2)
    assert (card.tile_size, card.overlap) == (17, 8)
    assert isinstance(card.overlap, int)


def test_a_confusion_may_be_of_one_class() -> None:
    card = from_metadata({"scasnet_accuracy": '{"confusion": [[5]]}'}, 3, 1)
    assert card.accuracy == {"confusion": [[5]]}


def test_the_log_says_which_value_of_a_card_is_too_long() -> None:
    with pytest.raises(ModelError) as caught:
        from_metadata({"class_names": "x" * 1_000_001}, 3, 2)
    assert caught.value.detail == "class_names has 1000001 characters"


def test_texts_are_read_up_to_four_million_characters_in_all() -> None:
    """Also where they are spread over many keys."""
    keys = ("name", "training_data", "licence", "attribution")
    metadata = {f"scasnet_{key}": '"' + key[0] * 999_998 + '"' for key in keys}
    assert from_metadata(metadata, 3, 2).attribution == "a" * 4000
    with pytest.raises(ModelError, match="too much text") as caught:
        from_metadata({**metadata, "names": "7"}, 3, 2)
    assert caught.value.detail == "4000001 characters in all"


def test_a_newer_format_is_named_in_the_log() -> None:
    with pytest.raises(ModelError, match="newer version of this plugin") as caught:
        from_metadata({"scasnet_version": "1.5"}, 3, 2)
    assert caught.value.detail == "format version 1.5, known up to 1"


@pytest.mark.parametrize("peer", [True, False])
def test_all_that_a_card_says_is_written_as_json(peer: bool) -> None:
    """Deepness, GeoDeep and earlier versions of the plugin read these keys."""
    card = replace(
        CARD, resolution=(0.3, 0.7), tile_size=300, overlap=65, width=0.5, precision="int8",
        standardise=peer, mean=(0.1, 0.2, 0.3),
        accuracy={"iou": {1: math.inf, "b": (0.5, math.nan)}},
    )  # fmt: skip
    outside = {"standardization_mean": [0.1, 0.2, 0.3], "standardization_std": [0.25] * 3}
    found = {key: json.loads(text) for key, text in to_metadata(card).items()}
    assert found == {
        "model_type": "Segmentor",
        "class_names": {"0": "a", "1": "b"},
        "tile_size": 300,
        "tiles_size": 300,
        "tiles_overlap": 43,
        "seg_thresh": 0,
        "seg_small_segment": 0,
        "resolution": 45.826,
        **(outside if peer else {}),
        "scasnet_name": "x",
        "scasnet_bands": ["red", "green", "blue"],
        "scasnet_value_range": [0, 255],
        "scasnet_mean": [0.1, 0.2, 0.3],
        "scasnet_std": [0.25] * 3,
        "scasnet_resolution": [0.3, 0.7],
        "scasnet_overlap": 65,
        "scasnet_network": "",
        "scasnet_width": 0.5,
        "scasnet_precision": "int8",
        "scasnet_training_data": "",
        "scasnet_licence": "",
        "scasnet_attribution": "",
        "scasnet_description": "",
        "scasnet_version": 1,
        "scasnet_colors": ["#000000", "#ffffff"],
        "scasnet_accuracy": {"iou": {"1": None, "b": [0.5, None]}},
    }


def test_without_a_resolution_the_peers_get_none() -> None:
    assert "resolution" not in to_metadata(CARD)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"classes": ()}, "has no classes"),
        ({"classes": CARD.classes * 128}, "has 256 classes, but a map holds at most 254"),
        ({"bands": (), "mean": (), "std": ()}, "one mean and one deviation for each band"),
        ({"bands": ("red",)}, "one mean and one deviation for each band"),
        ({"mean": (0.0,) * 4}, "one mean and one deviation for each band"),
        ({"std": (1.0,) * 2}, "one mean and one deviation for each band"),
        ({"mean": (0.0, 0.0, math.inf)}, "means of a model card must be numbers"),
        ({"std": (1.0, 1.0, 0.0)}, "deviations above 0"),
        ({"value_range": (1.0, 1.0)}, "must go from low to high"),
        ({"value_range": (-math.inf, 1.0)}, "must go from low to high"),
        ({"value_range": (1.0, math.inf)}, "must go from low to high"),
        ({"resolution": (0.0, 1.0)}, "a range of metres above 0"),
        ({"resolution": (0.5, 0.4)}, "a range of metres above 0"),
        ({"overlap": -1}, "smaller than its tile size"),
        ({"overlap": 512}, "smaller than its tile size"),
    ],
)
def test_what_a_card_refuses_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        replace(CARD, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": CARD.classes[:1]},
        {"classes": CARD.classes * 127},
        {"bands": ("red",), "mean": (0.0,), "std": (1e-30,)},
        {"value_range": (-1.0, 0.0)},
        {"resolution": (0.5, 0.5)},
        {"overlap": 0},
        {"overlap": 511},
    ],
)
def test_what_a_card_still_takes(change: dict[str, Any]) -> None:
    card = replace(CARD, **change)
    assert {key: getattr(card, key) for key in change} == change


def test_a_card_made_of_lists_is_the_same() -> None:
    card = replace(CARD, resolution=(1.0, 2.0))
    fields = ("classes", "bands", "value_range", "mean", "std", "resolution")
    assert replace(card, **{each: list(getattr(card, each)) for each in fields}) == card
    assert hash(card) == hash(replace(card, accuracy={"data": "y"}))


def test_what_a_class_refuses_is_named_in_short() -> None:
    for name in ("", " \t"):
        with pytest.raises(ModelError, match="needs a name"):
            ModelClass(name, "#000000")
    with pytest.raises(ModelError) as caught:
        ModelClass("n" * 90, "C" * 30)
    assert f"'{'c' * 20}' of the class '{'n' * 80}' is not valid" in caught.value.sentence


@pytest.mark.parametrize("classes", [1, 254])
def test_so_many_classes_fit(classes: int) -> None:
    check_class_count(classes)
    with pytest.raises(ModelError, match="with at least one"):
        check_class_count(0)
    with pytest.raises(ModelError, match=r"has 255 classes, .* at most 254"):
        check_class_count(255)


def test_colours_and_bands_without_a_name_are_always_the_same() -> None:
    """A map that is made again looks like the first one."""
    indexes = (0, 11, 12, 13, 14, 15, 129, 253)
    assert [default_color(each) for each in indexes] == [
        "#c8502f",
        "#2f5d50",
        "#67e6a6",
        "#bf6c56",
        "#454c99",
        "#97e667",
        "#9567e6",
        "#56bf69",
    ]
    assert [default_bands(count) for count in (1, 2, 3, 4, 6)] == [
        ("grey",),
        ("band 1", "band 2"),
        ("red", "green", "blue"),
        ("red", "green", "blue", "nir"),
        ("red", "green", "blue", "nir", "band 5", "band 6"),
    ]
