"""What two checkouts made, compared: rasters, records, figures, help and trainings."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, ogr
from tree_inputs import open_raster
from tree_runs import RECORD

STAMP = "SCASNET"  # the domain of the metadata in a map
# Sentences for people, which may be worded anew.
_TEXTS = {"matching", "note", "notes", "problem", "reason", "rule", "warnings"}
# What tells one run from another, or follows from the version of the plugin.
_OF_A_RUN = {
    "bytes", "checksum", "ended", "kept_of_an_interrupted_run", "modified", "plugin", "PLUGIN",
    "seconds", "seconds_fp32", "sha256", "software", "started", "tiles",
}  # fmt: skip
_SPEED = {"SECONDS", "MEGAPIXELS_PER_SECOND"}
_OF_HELP = {"description", "defaultGui", "help", "name", "short_description", "tags", "type"}


@dataclass(frozen=True)
class Check:
    """One comparison; `measured` and `limit` are for people."""

    what: str
    limit: str
    measured: str
    ok: bool


@dataclass(frozen=True)
class Limits:
    """What may differ: labels of a million, a probability, keys of records, entries of help."""

    labels: float = 0.0
    probabilities: float = 1e-5
    records: Collection[str] = ()
    help: Collection[str] = ()


def check_maps(first: Path, second: Path, limits: Limits) -> Iterator[Check]:
    """Compare two maps of one input, and the files beside them."""
    one, other = open_raster(first / "map.tif"), open_raster(second / "map.tif")
    bands = one.GetRasterBand(1), other.GetRasterBand(1)
    yield _check_labels("labels", bands, limits)
    yield from _check_overviews(bands, limits)
    yield _alike("grid and layout", *map(_layout, (one, other)))
    yield _alike("class names and colours", *map(_legend, bands))
    yield _alike("attribute table", *map(_table, bands))
    yield _alike("stamp but for the plugin's version", *map(_stamp, (one, other)))
    styles = [(folder / "map.qml").read_text("utf-8") for folder in (first, second)]
    yield _alike("style", *styles)
    yield from _check_probabilities(first / "scores.tif", second / "scores.tif", limits)
    yield from check_records(first, second, limits)
    if (first / "results.json").exists():
        results = [_outputs(folder, limits) for folder in (first, second)]
        yield _alike("outputs", *results)


def _check_labels(what: str, bands: tuple[gdal.Band, gdal.Band], limits: Limits) -> Check:
    one, other = (band.ReadAsArray() for band in bands)
    limit = f"{limits.labels:g} per million"
    if one.shape != other.shape:
        return Check(what, limit, f"{one.shape} and {other.shape}", False)
    differing = int(np.count_nonzero(one != other))
    share = 1e6 * differing / one.size
    measured = f"{differing} of {one.size:,}" + (f" ({share:.1f})" if differing else "")
    return Check(what, limit, measured, share <= limits.labels)


def _check_overviews(bands: tuple[gdal.Band, gdal.Band], limits: Limits) -> Iterator[Check]:
    counts = [band.GetOverviewCount() for band in bands]
    yield _alike("overviews", *counts)
    for index in range(min(counts)):
        levels = bands[0].GetOverview(index), bands[1].GetOverview(index)
        yield _check_labels(f"overview 1:{2 ** (index + 1)}", levels, limits)


def _check_probabilities(first: Path, second: Path, limits: Limits) -> Iterator[Check]:
    if not first.exists() and not second.exists():
        return
    one, other = open_raster(first), open_raster(second)
    difference = float(np.abs(one.ReadAsArray() - other.ReadAsArray()).max())
    limit = limits.probabilities
    yield Check("probabilities", f"{limit:g}", f"{difference:.3g}", difference <= limit)
    yield _alike("probabilities' layout", *map(_layout, (one, other)))
    yield _alike("probabilities' stamp", *map(_stamp, (one, other)))


def _layout(dataset: gdal.Dataset) -> list[Any]:
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    return [
        dataset.RasterXSize,
        dataset.RasterYSize,
        dataset.GetGeoTransform(),
        dataset.GetProjection(),
        dataset.GetMetadata("IMAGE_STRUCTURE"),
        dataset.GetMetadata(),
        sorted(set(dataset.GetMetadataDomainList() or [])),
        [(band.DataType, band.GetNoDataValue(), band.GetBlockSize()) for band in bands],
        [(band.GetDescription(), band.GetMetadata()) for band in bands],
    ]


def _legend(band: gdal.Band) -> list[Any]:
    colors = band.GetColorTable()
    count = 0 if colors is None else colors.GetCount()
    return [band.GetCategoryNames(), [colors.GetColorEntry(index) for index in range(count)]]


def _table(band: gdal.Band) -> list[Any]:
    table = band.GetDefaultRAT()
    columns = range(table.GetColumnCount())
    head = [
        (table.GetNameOfCol(col), table.GetTypeOfCol(col), table.GetUsageOfCol(col))
        for col in columns
    ]
    rows = range(table.GetRowCount())
    return [head, [[table.GetValueAsString(row, col) for col in columns] for row in rows]]


def _stamp(dataset: gdal.Dataset) -> dict[str, str]:
    found = dataset.GetMetadata(STAMP)
    return {key: value for key, value in found.items() if key != "PLUGIN"}


def _outputs(folder: Path, limits: Limits) -> dict[str, Any]:
    """The figures that a run returned; those whose declaration may differ are left out."""
    left_out = {*_SPEED, "OUTPUT", "PROBABILITIES", *_allowed("segment", limits)}
    found = _json(folder / "results.json").items()
    return {key: value for key, value in found if key not in left_out}


def check_records(first: Path, second: Path, limits: Limits) -> Iterator[Check]:
    """Compare the descriptions beside maps, but for texts and what tells runs apart."""
    for path in sorted(first.glob(f"*{RECORD}.json")):
        found = list(_differences(_json(path), _json(second / path.name), skipped=_OF_A_RUN))
        left = [place for place in found if not _is_allowed(place, limits.records)]
        yield Check(f"record of {path.name.partition('.')[0]}", "alike", _told(left), not left)


def check_figures(first: Path, second: Path) -> Check:
    """Compare two JSON files of figures, but for texts and paths."""
    skipped = _OF_A_RUN | {"path"}
    return _found(first.name, list(_differences(_json(first), _json(second), skipped=skipped)))


def check_points(first: Path, second: Path) -> Check:
    """Compare two vector files, place by place and field by field."""
    return _alike("points", *map(_features, (first, second)))


def _features(path: Path) -> list[str]:
    dataset = ogr.Open(str(path))
    return [feature.ExportToJson() for feature in dataset.GetLayer(0)]


def check_trainings(first: Path, second: Path) -> Iterator[Check]:
    """Compare the losses that two trainings logged, and all that their checkpoints hold."""
    one, other = _losses(first), _losses(second)
    # What is logged beside each 20th step follows the clock.
    steps = sorted({step for step in one.keys() | other.keys() if step % 20 == 0})
    told = ", ".join(f"{step}: {one.get(step)} {other.get(step)}" for step in steps)
    same = bool(steps) and all(one.get(step) == other.get(step) for step in steps)
    yield Check("losses by step", "the same", told or "none", same)
    tensors, others = _tensors(first), _tensors(second)
    yield _alike("tensors of the checkpoint", sorted(tensors), sorted(others))
    shared = tensors.keys() & others.keys()
    largest = max(
        (float(np.abs(tensors[name] - others[name]).max()) for name in shared), default=float("inf")
    )
    yield Check("largest difference of a weight", "0", f"{largest:.3g}", largest == 0.0)
    yield _alike("outputs", *map(_outputs_of_training, (first, second)))


def _losses(folder: Path) -> dict[int, float]:
    lines = [
        json.loads(line)
        for path in sorted(folder.glob("*_training/*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return {line["step"]: line["loss"] for line in lines if line.get("loss") is not None}


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*_training/checkpoint/*.safetensors")):
        found.update(load_file(path))
    return found


def _outputs_of_training(folder: Path) -> dict[str, Any]:
    # Which network was the best depends on when there was time to measure one.
    return {key: _json(folder / "results.json")[key] for key in ("STEPS", "EPOCHS_DONE", "RESUMED")}


def check_help(first: Path, second: Path, limits: Limits) -> Iterator[Check]:
    """Compare the help of all algorithms, but for texts."""
    one, other = _json(first / "help.json"), _json(second / "help.json")
    yield _alike("algorithms", sorted(one), sorted(other))
    for name in sorted(one.keys() & other.keys()):
        allowed = _allowed(name, limits)
        found = _differences(_declared(one[name], allowed), _declared(other[name], allowed))
        yield _found(name, list(found))


def _allowed(algorithm: str, limits: Limits) -> set[str]:
    entries = (entry.partition(":") for entry in limits.help)
    return {name for owner, _, name in entries if owner == algorithm}


def _declared(said: dict[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """What an algorithm declares, without texts and without what may differ."""
    known = said["json"]
    kinds = ("parameters", "outputs")
    entries = {
        kind: {name: _no_texts(entry) for name, entry in known[kind].items() if name not in allowed}
        for kind in kinds
    }
    orders = {
        f"order of {kind}": list(
            dict.fromkeys(
                name
                for name in re.findall(r"^(\w+): ", said["text"], re.MULTILINE)
                if name in entries[kind]
            )
        )
        for kind in kinds
    }
    return {"details": _no_texts(known["algorithm_details"]), **entries, **orders}


def _no_texts(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in entry.items() if key not in _OF_HELP}
    kind = entry.get("type")
    kept["type"] = kind["id"] if isinstance(kind, dict) else kind
    if "raw_definition" in kept:
        kept["raw_definition"] = _no_texts(kept["raw_definition"])
    for key in {"file_filter", "filefilter"} & kept.keys():
        kept[key] = re.findall(r"\*[.\w]*", kept[key] or "")
    return kept


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _differences(
    one: Any, other: Any, at: str = "", skipped: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Where two documents differ, and how; texts for people and skipped keys aside."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            place = f"{at}.{key}".lstrip(".")
            if (key in one) != (key in other):
                yield place, "only here" if key in one else "only there"
            elif key not in skipped and key not in _TEXTS:
                yield from _differences(one[key], other[key], place, skipped)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other)):
            yield from _differences(left, right, f"{at}[{index}]", skipped)
    elif not _same(one, other):
        yield at, f"{_short(one)} and {_short(other)}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9)
    return type(one) is type(other) and bool(one == other)


def _is_allowed(difference: tuple[str, str], allowed: Collection[str]) -> bool:
    place, _ = difference
    return any(place == key or place.startswith(f"{key}.") for key in allowed)


def _alike(what: str, one: Any, other: Any) -> Check:
    if one == other:
        return Check(what, "alike", "alike", True)
    found = list(_differences(one, other)) if isinstance(one, (dict, list)) else []
    told = _told(found) if found else f"{_short(one)} and {_short(other)}"
    return Check(what, "alike", told, False)


def _found(what: str, differences: list[tuple[str, str]]) -> Check:
    return Check(what, "alike", _told(differences), not differences)


def _told(differences: list[tuple[str, str]]) -> str:
    return "; ".join(f"{place}: {how}" for place, how in differences) or "alike"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
