"""Layers of polygons, and what should lie where on grids of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, ogr, osr

from scasnet_qgis.common.model_card import default_color
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.labels import LabelClass, Labels
from scasnet_qgis.tiling.windows import Window

NORTH_UP = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
SOUTH_UP = (500000.0, 0.5, 0.0, 3999940.0, 0.0, 0.5)
ROTATED = (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)
ROWS, COLS = 120, 160


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


def classes(*values: str) -> list[LabelClass]:
    return [LabelClass(value, f"class {value}", default_color(i)) for i, value in enumerate(values)]


def polygon(points: Sequence[tuple[float, float]]) -> str:
    return f"POLYGON(({','.join(f'{x:.9f} {y:.9f}' for x, y in [*points, points[0]])}))"


def square(x: float, y: float, size: float) -> str:
    return polygon([(x, y), (x + size, y), (x + size, y + size), (x, y + size)])


def write_layer(
    path: Path,
    features: Sequence[tuple[Any, str | None]],
    *,
    epsg: int | None = 32640,
    kind: int = ogr.OFTString,
    driver: str = "GPKG",
    name: str = "areas",
    shape: int = ogr.wkbPolygon,
) -> str:
    """A layer of (value, WKT) in the given system, WKT with x before y."""
    reference = None
    if epsg is not None:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    if path.exists():
        file = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_UPDATE)
    else:
        file = ogr.GetDriverByName(driver).CreateDataSource(str(path))
    layer = file.CreateLayer(name, reference, shape)
    layer.CreateField(ogr.FieldDefn("note", ogr.OFTString))
    layer.CreateField(ogr.FieldDefn("cover", kind))
    file.StartTransaction()
    for value, text in features:
        feature = ogr.Feature(layer.GetLayerDefn())
        if value is not None:
            feature.SetField("cover", value)
        if text is not None:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    file.CommitTransaction()
    return str(path)


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[: grid.rows, : grid.cols] + 0.5
    return grid.to_map(rows, cols)


def inside(points: Sequence[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which places lie in a convex polygon that runs counter-clockwise."""
    found = np.ones(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]]):
        found &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    return found


def in_windows(labels: Labels, grid: Grid, size: int = 50) -> np.ndarray:
    found = np.zeros((grid.rows, grid.cols), dtype=np.uint8)
    for row in range(0, grid.rows, size):
        for col in range(0, grid.cols, size):
            window = Window(row, col, size, size).intersect(grid.whole)
            found[row : window.row_end, col : window.col_end] = labels.read(window)
    return found
