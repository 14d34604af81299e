"""What a model card writes for others, what it refuses, and in which words."""

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
    check_class_count,
    default_bands,
    default_color,
    to_metadata,
)

CARD = ModelCard("x", (ModelClass("a", "#000000"), ModelClass("b", "#ffffff")))


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
    "change",
    [
        {"classes": ()},
        {"classes": CARD.classes * 128},
        {"bands": (), "mean": (), "std": ()},
        {"bands": ("red",)},
        {"mean": (0.0,) * 4},
        {"std": (1.0,) * 2},
        {"mean": (0.0, 0.0, math.inf)},
        {"std": (1.0, 1.0, 0.0)},
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
    assert replace(card, **{name: list(getattr(card, name)) for name in fields}) == card
    assert hash(card) == hash(replace(card, accuracy={"data": "y"}))


def test_what_a_class_refuses_is_named_in_short() -> None:
    for name in ("", " \t"):
        with pytest.raises(ModelError):
            ModelClass(name, "#000000")
    with pytest.raises(ModelError) as caught:
        ModelClass("n" * 90, "C" * 30)
    assert caught.value.message.values == {"color": "c" * 20, "name": "n" * 80}


@pytest.mark.parametrize("classes", [1, 254])
def test_so_many_classes_fit(classes: int) -> None:
    check_class_count(classes)
    with pytest.raises(ModelError):
        check_class_count(0)
    with pytest.raises(ModelError, match=r"255.*254"):
        check_class_count(255)


def test_colours_and_bands_without_a_name_are_always_the_same() -> None:
    """A map that is made again looks like the first one."""
    indexes = (0, 11, 12, 13, 14, 15, 129, 253)
    assert [default_color(index) for index in indexes] == [
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
