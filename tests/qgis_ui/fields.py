"""A made-up landscape of three kinds of fields, with polygons and rasters that say which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorLayer,
)

ROWS, COLS, STRIPE, PIXEL = 192, 288, 32, 2.0
LEFT, TOP = 500000.0, 4000000.0
NAMES = {1: "meadow", 2: "sand", 5: "lake"}
HUES = {1: (60, 140, 60), 2: (200, 190, 150), 5: (40, 80, 170)}
COLORS = {1: "#3c8c3c", 2: "#c8be96", 5: "#2850aa"}


def values(seed: int = 3) -> np.ndarray:
    """Class values [rows, cols] in stripes, whose order the seed decides."""
    order = np.random.default_rng(seed).permutation(np.tile([1, 2, 5], COLS // STRIPE // 3))
    return np.repeat(order, STRIPE)[None, :].repeat(ROWS, axis=0).astype(np.uint8)


def write_image(path: Path, seed: int = 3, shift: float = 0.0, bands: int = 3) -> Path:
    """An image of the fields, ``shift`` metres to the east."""
    truth = values(seed)
    hues = np.zeros((6, 3))
    for value, hue in HUES.items():
        hues[value] = hue
    noise = np.random.default_rng(seed).normal(0, 6, (3, ROWS, COLS))
    pixels = np.clip(hues[truth].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)
    return _write(path, pixels[:bands], shift)


def write_labels(path: Path, seed: int = 3, shift: float = 0.0) -> Path:
    """The classes of the same fields as a raster without names."""
    return _write(path, values(seed)[None], shift)


def _write(path: Path, pixels: np.ndarray, shift: float) -> Path:
    bands, rows, cols = pixels.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands)
    dataset.SetGeoTransform((LEFT + shift, PIXEL, 0.0, TOP, 0.0, -PIXEL))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    dataset.SetProjection(reference.ExportToWkt())
    if bands == 3:
        for number, meant in enumerate((gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand)):
            dataset.GetRasterBand(number + 1).SetColorInterpretation(meant)
    dataset.WriteArray(pixels)
    return path


def polygons(seed: int = 3, shift: float = 0.0) -> QgsVectorLayer:
    """A scratch layer with two polygons in each stripe, styled by the field kind."""
    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:32640&field=kind:string&field=code:integer", "drawn", "memory"
    )
    features = []
    for index, value in enumerate(values(seed)[0, ::STRIPE]):
        left = LEFT + shift + index * STRIPE * PIXEL + 6
        for top in (TOP - 8, TOP - ROWS * PIXEL / 2 - 8):
            feature = QgsFeature(layer.fields())
            box = QgsRectangle(left, top - ROWS * PIXEL / 2 + 24, left + STRIPE * PIXEL - 12, top)
            feature.setGeometry(QgsGeometry.fromRect(box))
            feature.setAttributes([NAMES[value], int(value)])
            features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    categories = [
        QgsRendererCategory(
            NAMES[value], QgsFillSymbol.createSimple({"color": COLORS[value]}), NAMES[value].title()
        )
        for value in NAMES
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("kind", categories))
    return layer
