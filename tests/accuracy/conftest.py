"""Small maps and references, and evaluations of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from scasnet_qgis.accuracy.options import EvaluationOptions
from scasnet_qgis.accuracy.request import Assessment, AssessmentRequest, ReferenceSource
from scasnet_qgis.accuracy.run import assess
from scasnet_qgis.common.options import options_of
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.labels import classes_of
from scasnet_qgis.tiling import windows

NAMES = ("building", "grass", "water")
PLACE = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)  # of make_raster, in EPSG:32640


def patches(rows: int, cols: int, seed: int, classes: int = 3, size: int = 8) -> np.ndarray:
    """Patches of the values 1 to ``classes``."""
    shape = -(-rows // size), -(-cols // size)
    values = np.random.default_rng(seed).integers(1, classes + 1, shape)
    return np.kron(values, np.ones((size, size), dtype=int))[:rows, :cols].astype(np.uint8)


def noisy(truth: np.ndarray, seed: int, share: float = 0.2) -> np.ndarray:
    """``truth`` with wrong classes in a share of the pixels."""
    generator = np.random.default_rng(seed)
    wrong = generator.integers(1, int(truth.max()) + 1, truth.shape)
    return np.where(generator.random(truth.shape) < share, wrong, truth).astype(np.uint8)


def name_classes(path: str, names: Sequence[str] = NAMES) -> str:
    """Give the values 1, 2 ... of a raster names."""
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.GetRasterBand(1).SetCategoryNames(["", *names])
    return path


def make_layer(
    path: Path,
    shapes: Sequence[tuple[str, Any]],
    kind: int = ogr.wkbPolygon,
    epsg: int | None = 32640,
    field: str = "class",
    field_type: int = ogr.OFTString,
) -> str:
    """A GeoPackage of geometries (WKT in EPSG:32640, brought to ``epsg``) with a class each."""
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    here, there = osr.SpatialReference(), osr.SpatialReference()
    here.ImportFromEPSG(32640)
    there.ImportFromEPSG(epsg or 32640)
    for crs in (here, there):
        crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    layer = dataset.CreateLayer("reference", there if epsg else None, kind)
    layer.CreateField(ogr.FieldDefn(field, field_type))
    for wkt, value in shapes:
        feature = ogr.Feature(layer.GetLayerDefn())
        if wkt:
            geometry = ogr.CreateGeometryFromWkt(wkt)
            geometry.Transform(osr.CoordinateTransformation(here, there))
            feature.SetGeometry(geometry)
        if value is not None:
            feature[field] = value
        layer.CreateFeature(feature)
    return str(path)


def at(row: float, col: float) -> tuple[float, float]:
    """Map coordinates of the middle of a pixel."""
    return PLACE[0] + (col + 0.5) * PLACE[1], PLACE[3] + (row + 0.5) * PLACE[5]


def point(row: float, col: float) -> str:
    x, y = at(row, col)
    return f"POINT ({x} {y})"


def box(row: int, col: int, rows: int, cols: int) -> str:
    """A polygon that covers exactly these pixels."""
    left, top = PLACE[0] + col * PLACE[1], PLACE[3] + row * PLACE[5]
    right, bottom = left + cols * PLACE[1], top + rows * PLACE[5]
    return (
        f"POLYGON (({left} {top}, {right} {top}, {right} {bottom}, {left} {bottom}, {left} {top}))"
    )


def request(source: str, reference: str, field: str = "", **how: Any) -> AssessmentRequest:
    """An evaluation of the files, with the classes that they hold; ``how`` are also options."""
    options = {name: how.pop(name) for name in options_of(EvaluationOptions) if name in how}
    return AssessmentRequest(
        source=source,
        classes=tuple(classes_of(source)),
        reference=ReferenceSource(reference, bool(field), "", field),
        reference_classes=tuple(classes_of(reference, field=field)),
        options=EvaluationOptions(**options),
        **how,
    )


@pytest.fixture
def window_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how large the windows are, so that small rasters have many."""

    def call(pixels: int) -> None:
        for function in (windows.aligned_windows, windows.count_windows):
            monkeypatch.setattr(function, "__defaults__", (pixels,))

    return call


@pytest.fixture
def compare():
    """Evaluate files and give the outcome."""

    def call(source: str, reference: str, field: str = "", **how: Any) -> Assessment:
        return assess(request(source, reference, field, **how), how.pop("progress", Progress()))

    return call


def left_out(result: Assessment) -> dict[str, int]:
    return {str(entry.reason): entry.count for entry in result.left_out}
