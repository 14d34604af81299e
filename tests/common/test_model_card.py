"""The model card: what it refuses, what it writes, and what it makes of any metadata."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import (
    ModelCard,
    ModelClass,
    default_bands,
    default_color,
    from_metadata,
    to_metadata,
)

CARD = ModelCard(
    name="Dubai, compact",
    classes=(ModelClass("building", "#d7301f"), ModelClass("sand & gravel", "#D9C79A")),
    bands=("red", "green", "blue", "nir"),
    value_range=(0.0, 10000.0),
    mean=(0.1, 0.2, 0.3, 0.4),
    std=(0.2, 0.2, 0.2, 0.1),
    resolution=(0.2, 0.8),
    tile_size=512,
    overlap=128,
    network="VGG ScasNet",
    width=0.25,
    training_data="72 images",
    accuracy={
        "data": "part 8",
        "overall_accuracy": 0.87,
        "mean_iou": 0.66,
        "iou": {"building": 0.7, "sand & gravel": None},
        "confusion": [[5, 1], [2, 7]],
    },
    licence="CC0",
    attribution="A, B",
    description="Two lines:\nsecond.",
)
PLAIN = ModelCard("x", (ModelClass("a", "#000000"), ModelClass("b", "#ffffff")))


def test_a_card_comes_back_as_it_was() -> None:
    assert from_metadata(to_metadata(CARD), 4, 2) == CARD


def test_a_fixed_tile_size_goes_into_the_peers_keys() -> None:
    values = to_metadata(CARD, 256)
    assert (values["tile_size"], values["tiles_size"], values["tiles_overlap"]) == (
        "256", "256", "50",
    )  # fmt: skip


def test_an_overlap_larger_than_the_tile_is_held_at_half() -> None:
    metadata = to_metadata(CARD, 96)
    assert metadata["tiles_overlap"] == "50"
    card = from_metadata(metadata, 4, 2)
    assert (card.tile_size, card.overlap) == (96, 48)


def test_no_metadata_at_all() -> None:
    card = from_metadata({}, 3, 4)
    assert card.class_names == ["class 0", "class 1", "class 2", "class 3"]
    assert len({model_class.color for model_class in card.classes}) == 4
    assert (card.bands, card.value_range) == (("red", "green", "blue"), (0.0, 255.0))
    assert (card.resolution, card.tile_size, card.overlap) == (None, 512, 128)


@pytest.mark.parametrize(
    ("key", "text", "names"),
    [
        ("class_names", '{"0": "a", "1": "b", "2": "c"}', ["a", "b", "c"]),
        ("names", "{0: 'a', 1: 'b', 2: 'c'}", ["a", "b", "c"]),
        ("class_names", '["a", "b", "c"]', ["a", "b", "c"]),
        ("class_names", '[{"0": "a", "1": "b", "2": "c"}, {"0": "z"}]', ["a", "b", "c"]),
        ("class_names", '{"0": "a", "2": "c"}', ["a", "class 1", "c"]),
        ("class_names", '{"2": "c", "0": "a", "9": "z"}', ["a", "class 1", "c"]),
        ("class_names", '{"-1": "z", "0.5": "y", "0": "a", "1e0": "b"}', ["a", "b", "class 2"]),
        ("class_names", '{"0": " ", "1": "b"}', ["class 0", "b", "class 2"]),
        ("class_names", "[]", ["class 0", "class 1", "class 2"]),
        ("class_names", "[[]]", ["class 0", "class 1", "class 2"]),
        ("class_names", "7", ["class 0", "class 1", "class 2"]),
        ("class_names", '{"zero": "a", "1": 5, "2": ["c"]}', ["class 0", "5", "class 2"]),
        ("class_names", "not even quoted", ["class 0", "class 1", "class 2"]),
        ("class_names", "[" * 90_000, ["class 0", "class 1", "class 2"]),
        ("class_names", "__import__('os').getcwd()", ["class 0", "class 1", "class 2"]),
    ],
)
def test_names_in_every_spelling(key: str, text: str, names: list[str]) -> None:
    assert from_metadata({key: text}, 3, 3).class_names == names


def test_one_channel_has_a_background() -> None:
    one = from_metadata({"class_names": '{"0": "road"}'}, 3, 2, sigmoid=True)
    assert one.class_names == ["background", "road"]
    both = from_metadata({"class_names": '{"0": "rest", "1": "road"}'}, 3, 2, sigmoid=True)
    assert both.class_names == ["rest", "road"]


def test_units_of_the_peers_are_turned_into_ours() -> None:
    card = from_metadata(
        {"resolution": "21.5", "tiles_size": "512.0", "tiles_overlap": '"15"'}, 3, 2
    )
    assert card.resolution == pytest.approx((0.215, 0.215))
    assert (card.tile_size, card.overlap) == (512, 76)


@pytest.mark.fault("a card with numbers that are none", "they count as missing")
@pytest.mark.parametrize("text", ["-5", "0", "nan", "Infinity", "null", '"far"', "[1, 2]", "1e999"])
def test_odd_numbers_count_as_missing(text: str) -> None:
    card = from_metadata({"resolution": text, "tile_size": text, "tiles_overlap": text}, 3, 2)
    assert card.resolution is None
    assert card.tile_size == 512
    assert 0 <= card.overlap < 512


def test_deepness_standardises_outside_the_graph() -> None:
    keys = {"standardization_mean": "[0.4, 0.5, 0.6]", "standardization_std": "[0.1, 0.2, 0.3]"}
    card = from_metadata(keys, 3, 2)
    assert (card.standardise, card.mean, card.std) == (True, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    assert from_metadata(to_metadata(card), 3, 2) == ModelCard(
        "", card.classes, mean=card.mean, std=card.std, standardise=True, precision=""
    )


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_precision_comes_back(precision: str) -> None:
    card = ModelCard("x", CARD.classes, precision=precision)
    assert from_metadata(to_metadata(card), 3, 2).precision == precision


@pytest.mark.parametrize("text", ['"float8"', "16", '["int8"]', "{}", "null"])
def test_a_precision_that_is_none_counts_as_not_stated(text: str) -> None:
    assert from_metadata({"scasnet_precision": text}, 3, 2).precision == ""


@pytest.mark.fault("a card with HTML and control characters in its names", "the signs are replaced")
def test_markup_and_control_characters_are_disarmed() -> None:
    names = json.dumps({"0": "<img src=x onerror=alert(1)>", "1": "a\n\x00\u202eb" + "c" * 500})
    first, second = from_metadata({"class_names": names}, 3, 2).class_names
    assert not set("<>") & set(first)
    assert second.startswith("a b")
    assert len(second) == 80
    card = from_metadata({"scasnet_description": json.dumps("<b>" * 90_000)}, 3, 2)
    assert len(card.description) == 4000
    assert "<" not in card.description


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "url(x)", 7, None, "#12345g"])
def test_a_bad_colour_is_replaced_on_reading_and_refused_in_a_card(color: object) -> None:
    card = from_metadata({"scasnet_colors": json.dumps([color, "#ABCDEF"])}, 3, 2)
    assert [model_class.color for model_class in card.classes] == [default_color(0), "#abcdef"]
    with pytest.raises(ModelError, match="#rrggbb"):
        ModelClass("a", str(color))


@pytest.mark.parametrize("classes", [255, 70_000])
def test_more_classes_than_a_map_holds(classes: int) -> None:
    with pytest.raises(ModelError, match=rf"{classes}.*254"):
        from_metadata({}, 3, classes)
    assert len(from_metadata({}, 3, 254).classes) == 254


def test_the_largest_card_stays_readable() -> None:
    classes = tuple(ModelClass(f"class number {k}", default_color(k)) for k in range(254))
    confusion = [[10**7] * 254 for _ in range(254)]
    card = ModelCard("big", classes, accuracy={"confusion": confusion})
    assert from_metadata(to_metadata(card), 3, 254) == card


@pytest.mark.parametrize("peer", [True, False])
def test_all_that_a_card_says_is_written_as_json(peer: bool) -> None:
    """Deepness, GeoDeep and earlier versions of the plugin read these keys."""
    card = replace(
        PLAIN, resolution=(0.3, 0.7), tile_size=300, overlap=65, width=0.5, precision="int8",
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
    assert "resolution" not in to_metadata(PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ()},
        {"classes": PLAIN.classes * 128},
        {"bands": (), "mean": (), "std": ()},
        {"bands": ("red",)},
        {"mean": (0.0,) * 4},
        {"std": (1.0,) * 2},
        {"mean": (0.0, 0.0, math.inf)},
        {"std": (1.0, 1.0, 0.0)},
        {"std": (1.0, math.nan, 1.0)},
        {"value_range": (1.0, 1.0)},
        {"value_range": (-math.inf, 1.0)},
        {"value_range": (1.0, math.inf)},
        {"resolution": (0.0, 1.0)},
        {"resolution": (0.5, 0.4)},
        {"overlap": -1},
        {"overlap": 512},
    ],
)
def test_what_a_card_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        replace(PLAIN, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": PLAIN.classes[:1]},
        {"classes": PLAIN.classes * 127},
        {"bands": ("red",), "mean": (0.0,), "std": (1e-30,)},
        {"value_range": (-1.0, 0.0)},
        {"resolution": (0.5, 0.5)},
        {"overlap": 0},
        {"overlap": 511},
    ],
)
def test_what_a_card_still_takes(change: dict[str, Any]) -> None:
    card = replace(PLAIN, **change)
    assert {key: getattr(card, key) for key in change} == change


def test_a_card_made_of_lists_is_the_same() -> None:
    card = replace(PLAIN, resolution=(1.0, 2.0))
    fields = ("classes", "bands", "value_range", "mean", "std", "resolution")
    assert replace(card, **{name: list(getattr(card, name)) for name in fields}) == card
    assert hash(card) == hash(replace(card, accuracy={"data": "y"}))


def test_what_a_class_refuses_is_named_in_short() -> None:
    for name in ("", " \t"):
        with pytest.raises(ModelError):
            ModelClass(name, "#000000")
    with pytest.raises(ModelError) as caught:
        ModelClass("n" * 90, "C" * 30)
    assert caught.value.message.values == {"color": "c" * 20, "name": "n" * 80}


def test_colours_and_bands_without_a_name_are_always_the_same() -> None:
    """A map that is made again looks like the first one."""
    indexes = (0, 11, 12, 13, 14, 15, 129, 253)
    assert [default_color(index) for index in indexes] == [
        "#c8502f", "#2f5d50", "#67e6a6", "#bf6c56", "#454c99", "#97e667", "#9567e6", "#56bf69",
    ]  # fmt: skip
    assert len({default_color(index) for index in range(254)}) == 254
    assert [default_bands(count) for count in (1, 2, 3, 4, 6)] == [
        ("grey",),
        ("band 1", "band 2"),
        ("red", "green", "blue"),
        ("red", "green", "blue", "nir"),
        ("red", "green", "blue", "nir", "band 5", "band 6"),
    ]
