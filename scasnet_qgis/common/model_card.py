"""The model card: what a model file says about itself, and the metadata keys that carry it.

The keys of Deepness and GeoDeep are written as those two read them, everything else under the
prefix ``scasnet_``, which they ignore. Every value is a JSON document.
"""

from __future__ import annotations

import colorsys
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import (
    clean_name,
    clean_text,
    number,
    numbers,
    oversized_metadata,
    parse,
)

FORMAT_VERSION = 1
MAX_CLASSES = 254  # class k is value k + 1 of an 8-bit map, 0 is nodata
PREFIX = "scasnet_"
PRECISIONS = ("float32", "float16", "int8")  # what a graph computes in, as numpy calls it
DEFAULT_TILE = 512
BACKGROUND_COLOR = "#d9d9d9"

_PEER_KEYS = (
    "class_names", "names", "resolution", "tile_size", "tiles_size", "tiles_overlap",
    "standardization_mean", "standardization_std",
)  # fmt: skip
_OWN_KEYS = (
    "name", "bands", "value_range", "mean", "std", "resolution", "overlap", "network", "width",
    "precision", "training_data", "licence", "attribution", "description", "version", "colors",
    "accuracy",
)  # fmt: skip
_MOST_TEXT = 4_000_000  # characters of all values together
_LARGE = 1e12
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
        for holds, text in self._rules():
            if not holds:
                raise ModelError(text)

    def _rules(self) -> Iterator[tuple[bool, str]]:
        """What must hold of the values, and what to say where it does not."""
        yield (
            len(self.bands) == len(self.mean) == len(self.std) > 0,
            translate("ScasNet", "A model card needs one mean and one deviation for each band."),
        )
        yield (
            all(map(math.isfinite, self.mean)) and all(deviation > 0 for deviation in self.std),
            translate(
                "ScasNet", "The means of a model card must be numbers, its deviations above 0."
            ),
        )
        low, high = self.value_range
        yield (
            math.isfinite(low) and math.isfinite(high) and low < high,
            translate("ScasNet", "The value range of a model card must go from low to high."),
        )
        finest, coarsest = self.resolution or (1.0, 1.0)
        yield (
            0 < finest <= coarsest,
            translate(
                "ScasNet", "The resolution of a model card must be a range of metres above 0."
            ),
        )
        yield (
            0 <= self.overlap < self.tile_size,
            translate("ScasNet", "The overlap of a model card must be smaller than its tile size."),
        )

    @property
    def class_names(self) -> list[str]:
        return [model_class.name for model_class in self.classes]


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
                "The model has {classes} classes, but a map can have at most {max_classes}: use "
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
        "class_names": {
            str(index): model_class.name for index, model_class in enumerate(card.classes)
        },
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
    values[PREFIX + "colors"] = [model_class.color for model_class in card.classes]
    values[PREFIX + "accuracy"] = dict(card.accuracy)
    return {key: json.dumps(_without_nan(value), allow_nan=False) for key, value in values.items()}


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN; a class that does not occur has no IoU."""
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_metadata(
    metadata: Mapping[str, str], bands: int, classes: int, *, sigmoid: bool = False
) -> ModelCard:
    """The card of a model with ``bands`` inputs whose map has ``classes`` classes.

    ``sigmoid`` tells that the model gives one channel, so that class 0 is what is not the class.
    Missing and odd entries get defaults: files of other programs have few of them. Raises
    ModelError for more than MAX_CLASSES classes, a newer format or a value too large to read.
    """
    check_class_count(classes)
    known = [*_PEER_KEYS, *(PREFIX + key for key in _OWN_KEYS)]
    letters = sum(len(metadata.get(key, "")) for key in known)
    if letters > _MOST_TEXT:
        raise oversized_metadata(f"{letters} characters in all")
    values = {key: parse(key, metadata[key]) for key in known if key in metadata}
    ours = {key[len(PREFIX) :]: value for key, value in values.items() if key.startswith(PREFIX)}
    tile, overlap = _tiles(values, ours)
    mean, std, standardise = _normalisation(values, ours, bands)
    limits = numbers(ours.get("value_range"), 2, -_LARGE, _LARGE)
    return ModelCard(
        name=clean_name(ours.get("name")),
        classes=_classes(values, ours, classes, sigmoid),
        bands=_bands(ours.get("bands"), bands),
        value_range=(limits[0], limits[1]) if limits and limits[0] < limits[1] else (0.0, 255.0),
        mean=mean,
        std=std,
        resolution=_resolution(values, ours),
        tile_size=tile,
        overlap=overlap,
        network=clean_name(ours.get("network")),
        width=number(ours.get("width"), 1e-6, 1e3),
        training_data=clean_text(ours.get("training_data")),
        accuracy=_accuracy(ours.get("accuracy")),
        licence=clean_text(ours.get("licence")),
        attribution=clean_text(ours.get("attribution")),
        description=clean_text(ours.get("description")),
        standardise=standardise,
        precision=next((item for item in PRECISIONS if item == ours.get("precision")), ""),
        version=_version(ours.get("version")),
    )


def _version(value: Any) -> int:
    version = number(value, 0, _LARGE)
    if version is not None and version > FORMAT_VERSION:
        raise ModelError(
            translate(
                "ScasNet", "The model needs a newer version of this plugin: update the plugin."
            ),
            f"format version {version:g}, known up to {FORMAT_VERSION}",
        )
    return FORMAT_VERSION


def _classes(
    values: Mapping[str, Any], ours: Mapping[str, Any], classes: int, sigmoid: bool
) -> tuple[ModelClass, ...]:
    names = _names(values.get("class_names", values.get("names")))
    if sigmoid and 1 not in names:
        names = {0: "background", 1: names.get(0, "class 1")}
    colors = ours.get("colors")
    given = colors if isinstance(colors, list) and len(colors) <= MAX_CLASSES else []
    result = []
    for index in range(classes):
        color = str(given[index]).lower() if index < len(given) else ""
        if not _COLOR.fullmatch(color):
            color = BACKGROUND_COLOR if sigmoid and index == 0 else default_color(index)
        result.append(ModelClass(names.get(index) or f"class {index}", color))
    return tuple(result)


def _names(value: Any) -> dict[int, str]:
    """Names by class index; a list of dictionaries has one for each output, ours is the first."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value[:MAX_CLASSES]))
    if not isinstance(value, dict):
        return {}
    names: dict[int, str] = {}
    for key, item in value.items():
        index = number(key, 0, MAX_CLASSES - 1)
        name = clean_name(item)
        if index is not None and index == int(index) and name:
            names[int(index)] = name
    return names


def _bands(value: Any, bands: int) -> tuple[str, ...]:
    if isinstance(value, list) and len(value) == bands:
        names = tuple(clean_name(item) for item in value)
        if all(names):
            return names
    return default_bands(bands)


def _normalisation(
    values: Mapping[str, Any], ours: Mapping[str, Any], bands: int
) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    outside = _mean_and_std(values, "standardization_mean", "standardization_std", bands)
    if outside is not None:
        return (*outside, True)
    inside = _mean_and_std(ours, "mean", "std", bands)
    return (*(inside or ((0.5,) * bands, (0.25,) * bands)), False)


def _mean_and_std(
    values: Mapping[str, Any], mean_key: str, std_key: str, bands: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    mean = numbers(values.get(mean_key), bands, -1e6, 1e6)
    std = numbers(values.get(std_key), bands, 1e-9, 1e6)
    return (mean, std) if mean is not None and std is not None else None


def _resolution(values: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[float, float] | None:
    span = numbers(ours.get("resolution"), 2, 1e-6, 1e6)
    if span is not None and span[0] <= span[1]:
        return span[0], span[1]
    centimetres = number(values.get("resolution"), 1e-4, 1e8)
    return None if centimetres is None else (centimetres / 100, centimetres / 100)


def _tiles(values: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[int, int]:
    """Tile size and overlap in pixels; the peers give the overlap in percent.

    Half of theirs would do (see ``card.to_metadata``), but how little a model needs is not known.
    """
    tile = number(values.get("tile_size", values.get("tiles_size")), 8, 16384)
    size = int(tile) if tile is not None else DEFAULT_TILE
    overlap = number(ours.get("overlap"), 0, 16384)
    if overlap is None:
        percent = number(values.get("tiles_overlap"), 0, 90)
        overlap = size / 4 if percent is None else size * percent / 100
    return size, min(int(overlap), size // 2)


def _accuracy(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    result: dict[str, Any] = {}
    if "data" in value:
        result["data"] = clean_text(value["data"])
    for key in ("overall_accuracy", "mean_iou"):
        share = number(value.get(key), 0, 1)
        if share is not None:
            result[key] = share
    shares = value.get("iou")
    if isinstance(shares, dict):
        items = list(shares.items())[:MAX_CLASSES]
        result["iou"] = {clean_name(name): number(share, 0, 1) for name, share in items}
    confusion = _confusion(value.get("confusion"))
    if confusion:
        result["confusion"] = confusion
    return result


def _confusion(value: Any) -> list[list[int]]:
    """A square matrix of pixel counts, empty where it is anything else."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CLASSES:
        return []
    rows = [numbers(row, len(value), 0, 1e15) for row in value]
    return [[int(count) for count in row] for row in rows if row] if None not in rows else []
