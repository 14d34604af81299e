"""A model card from the metadata of a model file, ours or another program's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scasnet_qgis.core.card import (
    BACKGROUND_COLOR,
    DEFAULT_TILE,
    FORMAT_VERSION,
    MAX_CLASSES,
    PRECISIONS,
    PREFIX,
    ModelCard,
    ModelClass,
    default_bands,
    default_color,
)
from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.untrusted import (
    clean_name,
    clean_text,
    number,
    numbers,
    parse,
    too_much_text,
)

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


def read_card(metadata: Mapping[str, str], bands: int, classes: int, sigmoid: bool) -> ModelCard:
    """See ``card.from_metadata``."""
    known = [*_PEER_KEYS, *(PREFIX + key for key in _OWN_KEYS)]
    letters = sum(len(metadata.get(key, "")) for key in known)
    if letters > _MOST_TEXT:
        raise too_much_text(f"{letters} characters in all")
    values = {key: parse(key, metadata[key]) for key in known if key in metadata}
    ours = {key[len(PREFIX) :]: each for key, each in values.items() if key.startswith(PREFIX)}
    tile, overlap = _tiles(values, ours)
    mean, std, standardise = _normalisation(values, ours, bands)
    limits = numbers(ours.get("value_range"), 2, -_LARGE, _LARGE)
    width = number(ours.get("width"), 1e-6, 1e3)
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
        width=width,
        training_data=clean_text(ours.get("training_data")),
        accuracy=_accuracy(ours.get("accuracy")),
        licence=clean_text(ours.get("licence")),
        attribution=clean_text(ours.get("attribution")),
        description=clean_text(ours.get("description")),
        standardise=standardise,
        precision=next((each for each in PRECISIONS if each == ours.get("precision")), ""),
        version=_version(ours.get("version")),
    )


def _version(value: Any) -> int:
    version = number(value, 0, _LARGE)
    if version is not None and version > FORMAT_VERSION:
        raise ModelError(
            translate(
                "ScasNet",
                "The model was made for a newer version of this plugin: update the plugin.",
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
        name = names.get(index) or f"class {index}"
        fallback = BACKGROUND_COLOR if sigmoid and index == 0 else default_color(index)
        result.append(_class(name, given[index] if index < len(given) else None, fallback))
    return tuple(result)


def _class(name: str, color: Any, fallback: str) -> ModelClass:
    try:
        return ModelClass(name, str(color))
    except ModelError:
        return ModelClass(name, fallback)


def _names(value: Any) -> dict[int, str]:
    """Names by class index; a list of dictionaries has one for each output, ours is the first."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value[:MAX_CLASSES]))
    if not isinstance(value, dict):
        return {}
    names: dict[int, str] = {}
    for key, each in value.items():
        index = number(key, 0, MAX_CLASSES - 1)
        name = clean_name(each)
        if index is not None and index == int(index) and name:
            names[int(index)] = name
    return names


def _bands(value: Any, bands: int) -> tuple[str, ...]:
    if isinstance(value, list) and len(value) == bands:
        names = tuple(clean_name(each) for each in value)
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
        result["iou"] = {clean_name(name): number(each, 0, 1) for name, each in items}
    confusion = _confusion(value.get("confusion"))
    if confusion:
        result["confusion"] = confusion
    return result


def _confusion(value: Any) -> list[list[int]]:
    """A square matrix of pixel counts, empty where it is anything else."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CLASSES:
        return []
    rows = [numbers(row, len(value), 0, 1e15) for row in value]
    return [[int(each) for each in row] for row in rows if row] if None not in rows else []
