"""Exports to look at, and the scores of what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal

from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect

DEMO = Path(__file__).parents[3] / "resources" / "demo" / "dubai.tif"


def request(
    source: Path, output: Path, precision: str, raster: Path | str = "", **more: Any
) -> dict[str, Any]:
    """What the task takes."""
    paths = {"source": str(source), "output": str(output), "raster": str(raster)}
    return {**paths, "precision": precision, **more}


def scores(path: Path, tile: np.ndarray) -> np.ndarray:
    """Probabilities of a tile [N, bands, rows, cols] in 0-1."""
    with OnnxBackend(inspect(path), "cpu", 1, tile.shape[2:]) as backend:
        return backend.predict(tile)


def tile_of(path: Path, rows: int, cols: int, row: int = 0, col: int = 0) -> np.ndarray:
    """A part of an image as a model takes it, [1, bands, rows, cols]."""
    values = gdal.Open(str(path)).ReadAsArray(col, row, cols, rows)
    return values[None].astype(np.float32) / 255
