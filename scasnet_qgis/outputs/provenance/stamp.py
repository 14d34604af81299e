"""Provenance of a map: metadata in the GeoTIFF, and the run record (JSON) beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from osgeo import gdal, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs.provenance.fingerprint import sha256_of
from scasnet_qgis.outputs.provenance.run_record import (
    MAX_BYTES,
    InvalidRecord,
    Record,
    from_text,
    record_file,
    to_text,
)

DOMAIN = "SCASNET"  # of GDAL's metadata
MAX_ITEMS = 100
MAP, PROBABILITIES = "map", "probabilities"


def stamp(dataset: gdal.Dataset, origin: Mapping[str, str]) -> None:
    """Put into a file what is the same in every run; to be called before its first pixels.

    It must be the same in every run: no time, no path.
    """
    if origin:
        dataset.SetMetadata(dict(origin), DOMAIN)


def read_stamp(path: Path) -> dict[str, str]:
    """What a map's own file says, as it stands there; empty for another raster.

    Raises InputError where the file is no GeoTIFF.
    """
    try:
        dataset = gdal.OpenEx(str(path), gdal.OF_RASTER, allowed_drivers=["GTiff"])
        metadata = None if dataset is None else dataset.GetMetadata(DOMAIN) or {}
    except RuntimeError as error:
        raise _not_a_map(path, str(error)) from error
    if metadata is None:
        raise _not_a_map(path, gdal.GetLastErrorMsg())
    return dict(list(metadata.items())[:MAX_ITEMS])


def write_records(
    content: Mapping[str, Any], files: Mapping[str, Path], check: Callable[[], None]
) -> None:
    """Write the description beside finished files that have not got their names yet.

    ``files`` by MAP and PROBABILITIES; all of them are named, with their checksums, in the
    description of each. ``check`` may raise Cancelled. Raises OutputError.
    """
    path = next(iter(files.values()))
    try:
        named = []
        for kind, path in files.items():
            size, digest = path.stat().st_size, sha256_of(path, check)
            named.append({"kind": kind, "name": path.name, "bytes": size, "sha256": digest})
        text = to_text({**content, "files": named})
        for path in files.values():
            # What is no Unicode in a path becomes an escape that JSON knows.
            record_file(path).write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise failed(path, error) from error


def read_record(raster: Path) -> Record:
    """The description beside a map; raises InvalidRecord where there is none that can be read."""
    file = record_file(raster)
    try:
        if not file.is_file():
            raise InvalidRecord("")
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidRecord(str(error)) from error
    if len(data) > MAX_BYTES:
        raise InvalidRecord("the file is too large")
    return from_text(data.decode("utf-8", "replace"))


def vector_files(source: str) -> list[str]:
    """The files that polygons are read from, the one that is named first."""
    try:
        dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
        found = [] if dataset is None else dataset.GetFileList() or []
    except RuntimeError:  # whoever reads the polygons says what is wrong
        found = []
    return list(dict.fromkeys([source, *found]))


def grid_facts(grid: Grid) -> dict[str, Any]:
    """Size, position and reference system of a raster."""
    return {
        "rows": grid.rows,
        "cols": grid.cols,
        "geotransform": grid.geotransform,
        "crs": authority_of(grid.wkt),
        "wkt": grid.wkt,
        "resolution_m": grid.resolution,
    }


def authority_of(wkt: str) -> str | None:
    """The code of a reference system, such as EPSG:32640, None where it has none."""
    if not wkt:
        return None
    reference = osr.SpatialReference()
    try:
        reference.ImportFromWkt(wkt)
        name, code = reference.GetAuthorityName(None), reference.GetAuthorityCode(None)
    except RuntimeError:
        return None
    return f"{name}:{code}" if name and code else None


def stamp_items(
    model_name: str, model_sha256: str, classes: Sequence[Mapping[str, Any]], **more: str
) -> dict[str, str]:
    """The items of ``stamp``, empty ones left out; JSON where an item is a list."""
    listed = [{"value": value, **entry} for value, entry in enumerate(classes, start=1)]
    items = {
        "MODEL": model_name,
        "MODEL_SHA256": model_sha256,
        **{key.upper(): value for key, value in more.items()},
        "CLASSES": json.dumps(listed, ensure_ascii=False),
    }
    return {key: value for key, value in items.items() if value}


def _not_a_map(path: Path, detail: str) -> InputError:
    return InputError(
        translate("ScasNet", "{path} cannot be read as a GeoTIFF: choose a map of this plugin."),
        detail,
        path=path,
    )
