"""Labelled images to load as scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.common.model_card import default_color
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.labels import LabelClass
from scasnet_qgis.training.data.scenes import IGNORE, Scene, load_scenes
from scasnet_qgis.training.data.sources import expand
from scasnet_qgis.training.data.split import Split
from tests.labels.layers import polygon

ROWS, COLS = 700, 30  # more than one window
PLACED = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
ROTATED = (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)


def classes(*values: Any) -> list[LabelClass]:
    return [
        LabelClass(str(value), f"cover {value}", default_color(i)) for i, value in enumerate(values)
    ]


def write(path: Path, values: np.ndarray, nodata: float | None = None) -> None:
    """Write [bands, rows, cols] as GeoTIFF of the array's type, without a position."""
    path.parent.mkdir(exist_ok=True)
    bands, rows, cols = values.shape
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(values.dtype)
    file = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands, kind)
    for band, layer in enumerate(values, 1):
        if nodata is not None:
            file.GetRasterBand(band).SetNoDataValue(nodata)
        file.GetRasterBand(band).WriteArray(layer)
    file.FlushCache()


def pair(folder: Path, pixels: np.ndarray, labels: np.ndarray, nodata: float | None = None) -> None:
    """The same image, and its labels, to learn from and to judge by."""
    for name in ("one", "two"):
        write(folder / "images" / f"{name}.tif", pixels, nodata)
        write(folder / "labels" / f"{name}.tif", labels[None])


def load(
    folder: Path,
    values: tuple[Any, ...] = (1, 2),
    bands: tuple[str, ...] = ("first", "second"),
    progress: Progress | None = None,
    *,
    entries: Sequence[dict[str, Any]] = (),
    chosen: Sequence[int] = (),
    **entry: Any,
) -> tuple[list[Scene], list[Scene]]:
    """Scenes of ``entries``, of one entry, or of the folders that ``pair`` writes."""
    pairs = {"image": "images", "labels": "labels", "validation": "two"}
    sources = expand(entries or [entry or pairs], folder)
    arguments = (classes(*values), bands, chosen, folder / "cache", Split(0.3, 1))
    return load_scenes(sources, *arguments, progress or Progress())


def expected(labels: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    return np.select([labels == value for value in values], range(len(values)), IGNORE)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def jpeg(path: Path, pixels: np.ndarray) -> None:
    memory = gdal.GetDriverByName("MEM").Create("", *pixels.shape[:0:-1], len(pixels))
    memory.WriteArray(pixels)
    gdal.GetDriverByName("JPEG").CreateCopy(str(path), memory)


def squares(rows: int, cols: int, placed: tuple[float, ...], size: int = 24) -> list:
    """Features on a raster of this place, and where they lie in pixels."""
    to_map = gdal.ApplyGeoTransform
    found = []
    for index, row in enumerate(range(10, rows - size, 3 * size)):
        for col in range(10 + index * 7, cols - size, 3 * size):
            corners = [(col, row), (col + size, row), (col + size, row + size), (col, row + size)]
            shape = polygon([tuple(to_map(placed, *corner)) for corner in corners])
            found.append((index % 3, row, col, shape))
    return found
