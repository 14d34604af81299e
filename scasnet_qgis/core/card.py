"""The model card: what a model file says about itself, and the metadata keys that carry it.

The keys of Deepness and GeoDeep are written as those two read them, everything else under the
prefix ``scasnet_``, which they ignore. Every value is a JSON document.
"""

from __future__ import annotations

import colorsys
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate

FORMAT_VERSION = 1
MAX_CLASSES = 254  # class k is value k + 1 of an 8-bit map, 0 is nodata
PREFIX = "scasnet_"
PRECISIONS = ("float32", "float16", "int8")  # what a graph computes in, as numpy calls it
DEFAULT_TILE = 512
BACKGROUND_COLOR = "#d9d9d9"

_COLOR = re.compile(r"#[0-9a-f]{6}")
_PALETTE = (
    "#c8502f", "#3f7fb5", "#6aa23c", "#e0b13a", "#7b5aa6", "#3aa89b",
    "#b3486f", "#8a6a44", "#5b6b7a", "#a9c25d", "#e08a4f", "#2f5d50",
)  # fmt: skip


@dataclass(frozen=True)
class ModelClass:
    """One class of the map: its name and its colour, ``#rrggbb`` in lower case."""

    name: str
    color: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "color", str(self.color).lower())
        if not self.name.strip():
            raise ModelError(translate("ScasNet", "Every class of a model needs a name."))
        if not _COLOR.fullmatch(self.color):
            raise ModelError(
                translate(
                    "ScasNet",
                    "The colour '{color}' of the class '{name}' is not valid: write it as #rrggbb.",
                ),
                color=self.color[:20],
                name=self.name[:80],
            )


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model.

    ``value_range`` are the raw values that become 0 and 1 before the graph. ``mean`` and ``std``
    are per band in those 0-1 units; the graph holds the normalisation itself, unless
    ``standardise`` says that it is left to the caller (files made for Deepness). The mean also
    fills pixels without data. ``resolution`` is the range of metres per pixel the model was
    trained for, ``tile_size`` and ``overlap`` are pixels. ``accuracy`` holds ``data`` (what it
    was measured on), ``overall_accuracy``, ``mean_iou``, ``iou`` (by class, None where a class
    does not occur) and ``confusion`` (rows: reference), each of them optional; it was measured
    before a change of ``precision`` (one of PRECISIONS, empty where a file does not say it).
    """

    name: str
    classes: tuple[ModelClass, ...]
    bands: tuple[str, ...] = ("red", "green", "blue")
    value_range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    resolution: tuple[float, float] | None = None
    tile_size: int = DEFAULT_TILE
    overlap: int = DEFAULT_TILE // 4
    network: str = ""
    width: float | None = None
    training_data: str = ""
    accuracy: Mapping[str, Any] = field(default_factory=dict, hash=False)
    licence: str = ""
    attribution: str = ""
    description: str = ""
    standardise: bool = False
    precision: str = PRECISIONS[0]
    version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name in ("classes", "bands", "value_range", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.resolution is not None:
            object.__setattr__(self, "resolution", tuple(self.resolution))
        check_class_count(len(self.classes))
        if not len(self.bands) == len(self.mean) == len(self.std) > 0:
            raise ModelError(
                translate("ScasNet", "A model card needs one mean and one deviation for each band.")
            )
        if not all(map(math.isfinite, self.mean)) or not all(each > 0 for each in self.std):
            raise ModelError(
                translate(
                    "ScasNet", "The means of a model card must be numbers, its deviations above 0."
                )
            )
        low, high = self.value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ModelError(
                translate("ScasNet", "The value range of a model card must go from low to high.")
            )
        if self.resolution is not None and not 0 < self.resolution[0] <= self.resolution[1]:
            raise ModelError(
                translate(
                    "ScasNet", "The resolution of a model card must be a range of metres above 0."
                )
            )
        if not 0 <= self.overlap < self.tile_size:
            raise ModelError(
                translate(
                    "ScasNet", "The overlap of a model card must be smaller than its tile size."
                )
            )

    @property
    def class_names(self) -> list[str]:
        return [each.name for each in self.classes]


def check_class_count(classes: int) -> None:
    """Raise ModelError where a map of 8 bit cannot hold so many classes."""
    if classes < 1:
        raise ModelError(
            translate("ScasNet", "The model has no classes: export it again with at least one.")
        )
    if classes > MAX_CLASSES:
        raise ModelError(
            translate(
                "ScasNet",
                "The model has {classes} classes, but a map holds at most {max_classes}: use "
                "a model with fewer classes.",
            ),
            classes=classes,
            max_classes=MAX_CLASSES,
        )


def default_color(index: int) -> str:
    """A colour for a class that has none; neighbours differ clearly."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    # The golden angle never comes back to a hue; the brightness tells close ones apart.
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1.0, 0.55, 0.9 - 0.15 * (index % 3))
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def default_bands(count: int) -> tuple[str, ...]:
    """Names for the bands of a model that does not name them."""
    if count < 3:
        return ("grey",) if count == 1 else ("band 1", "band 2")
    known = ("red", "green", "blue", "nir")[:count]
    return known + tuple(f"band {index + 1}" for index in range(len(known), count))


def to_metadata(card: ModelCard, fixed_size: int | None = None) -> dict[str, str]:
    """The card as ``metadata_props``; ``fixed_size`` is the tile size of a graph that has one."""
    tile = fixed_size or card.tile_size
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(index): each.name for index, each in enumerate(card.classes)},
        "tile_size": tile,
        "tiles_size": tile,
        # In percent. The peers cut where this program blends, so they need twice as much for the
        # same from a tile's edge; more than half reads a pixel four times.
        "tiles_overlap": min(round(200 * card.overlap / tile), 50),
        "seg_thresh": 0,
        "seg_small_segment": 0,
    }
    if card.standardise:
        values["standardization_mean"], values["standardization_std"] = card.mean, card.std
    if card.resolution is not None:
        # One number for a range: at the geometric mean both ends are equally far.
        values["resolution"] = round(100 * math.sqrt(card.resolution[0] * card.resolution[1]), 3)
    ours = ("name", "bands", "value_range", "mean", "std", "resolution", "overlap", "network")
    more = ("width", "precision", "training_data", "licence", "attribution", "description")
    values.update({PREFIX + key: getattr(card, key) for key in (*ours, *more, "version")})
    values[PREFIX + "colors"] = [each.color for each in card.classes]
    values[PREFIX + "accuracy"] = dict(card.accuracy)
    return {key: json.dumps(_without_nan(value), allow_nan=False) for key, value in values.items()}


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN; a class that does not occur has no IoU."""
    if isinstance(value, Mapping):
        return {str(key): _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_metadata(
    metadata: Mapping[str, str], bands: int, classes: int, *, sigmoid: bool = False
) -> ModelCard:
    """The card of a model with ``bands`` inputs whose map has ``classes`` classes.

    ``sigmoid`` tells that the model gives one channel, so that class 0 is what is not the class.
    Missing and odd entries get defaults: files of other programs have few of them. Raises
    ModelError for more than MAX_CLASSES classes, a newer format or a value too large to read.
    """
    from scasnet_qgis.core.card_reading import read_card

    check_class_count(classes)
    return read_card(metadata, bands, classes, sigmoid)
