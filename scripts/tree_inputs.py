"""Small rasters, polygons, models and labels that two checkouts are compared on.

Made once for a work folder. What needs the plugin is made by the first checkout and used for both.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, ogr, osr
from tree_runs import Tree

_EPSG = 32640  # UTM zone 40 north, where Dubai lies
_LEFT, _TOP, _PIXEL = 325_000.0, 2_785_000.0, 1.05  # metres
_ROWS, _COLS = 400, 420
_CORNER = (300, 350)  # row and column of the demo image that the other images begin at
_SEED = 13
_FIXED = 256  # pixels
_CLASSES = 5


def make_inputs(tree: Tree, folder: Path) -> None:
    """Fill a folder with all inputs, or leave it as it is if that was done."""
    if folder.is_dir():
        return
    gdal.UseExceptions()
    ogr.UseExceptions()
    partial = folder.with_name(f"{folder.name}.part")
    partial.mkdir(parents=True, exist_ok=True)
    shutil.copy(tree.root / "resources" / "demo" / "dubai.tif", partial / "demo.tif")
    _write_images(partial)
    _write_mask(partial / "mask.shp")
    _export_models(tree, partial)
    _write_reference(tree, partial)
    _label_points(tree, partial)
    (partial / "made_by").write_text(f"{tree.key}\n", encoding="utf-8")
    partial.rename(folder)


def _write_images(folder: Path) -> None:
    """A part of the demo image with a place; the same with half the pixel size; and 16 bits."""
    row, col = _CORNER
    demo = gdal.Open(str(folder / "demo.tif"))
    pixels = demo.ReadAsArray(col, row, _COLS, _ROWS)[:3]
    _write(folder / "crop.tif", pixels, _PIXEL)
    # A part of that is enough: it has four times the pixels.
    gdal.Translate(
        str(folder / "fine.tif"), str(folder / "crop.tif"), srcWin=[60, 50, 300, 280],
        width=600, height=560, resampleAlg="cubic",
    )  # fmt: skip
    noise = np.random.default_rng(_SEED).integers(0, 8, (4, _ROWS, _COLS))
    deep = np.concatenate([pixels[::-1], pixels[1:2] // 2]).astype(np.int64) * 8 + 100 + noise
    deep[:, :60, :90] = 0
    _write(folder / "deep.tif", deep.astype(np.uint16), _PIXEL, nodata=0)


def _write(path: Path, pixels: Any, pixel_size: float, nodata: int | None = None) -> gdal.Dataset:
    """Write pixels [bands, rows, cols]; the first three are red, green, blue if there are three."""
    bands, rows, cols = pixels.shape
    kind = {np.dtype(np.uint8): gdal.GDT_Byte, np.dtype(np.uint16): gdal.GDT_UInt16}
    options = ["COMPRESS=DEFLATE", "PHOTOMETRIC=RGB" if bands == 3 else "PHOTOMETRIC=MINISBLACK"]
    driver = gdal.GetDriverByName("GTiff")
    dataset = driver.Create(str(path), cols, rows, bands, kind[pixels.dtype], options)
    dataset.SetGeoTransform((_LEFT, pixel_size, 0.0, _TOP, 0.0, -pixel_size))
    dataset.SetProjection(_reference_system(_EPSG).ExportToWkt())
    if nodata is not None:
        for number in range(1, bands + 1):
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    dataset.WriteArray(pixels)
    return dataset


def _reference_system(code: int) -> osr.SpatialReference:
    system = osr.SpatialReference()
    system.ImportFromEPSG(code)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return system


def open_raster(path: Path) -> gdal.Dataset:
    """Open a raster so that its category names are seen, which GDAL 3.6 forgets at first."""
    dataset = gdal.Open(str(path))
    dataset.GetGeoTransform()
    return dataset


def _write_mask(path: Path) -> None:
    """Two polygons, one of them with a hole, in degrees."""
    to_degrees = osr.CoordinateTransformation(_reference_system(_EPSG), _reference_system(4326))
    rings = (
        [[(20, 15), (250, 40), (220, 330), (35, 290)], [(90, 90), (150, 100), (120, 170)]],
        [[(280, 200), (400, 180), (390, 385), (300, 360)]],
    )
    polygons = [
        [[_degrees(to_degrees, place) for place in (*ring, ring[0])] for ring in polygon]
        for polygon in rings
    ]
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": polygon},
        }
        for polygon in polygons
    ]
    document = {"type": "FeatureCollection", "features": features}
    text = json.dumps(document)
    # QGIS hands a copy of a GeoJSON file to algorithms, whose name is another one in each run.
    gdal.VectorTranslate(str(path), gdal.OpenEx(text, gdal.OF_VECTOR), format="ESRI Shapefile")


def _degrees(transformation: osr.CoordinateTransformation, place: tuple[int, int]) -> list[float]:
    col, row = place
    x, y, _ = transformation.TransformPoint(_LEFT + col * _PIXEL, _TOP - row * _PIXEL)
    return [x, y]


def _export_models(tree: Tree, folder: Path) -> None:
    shared = {"CALIBRATION": str(folder / "crop.tif")}
    exports = {
        "fixed.onnx": {"PRECISION": "fp32", "FIXED_SIZE": str(_FIXED)},
        "fp32.onnx": {"PRECISION": "fp32"},
        "int8.onnx": {"PRECISION": "int8"},
        "fixed_int8.onnx": {"PRECISION": "int8", "FIXED_SIZE": str(_FIXED)},
    }
    for name, parameters in exports.items():
        if not (folder / name).exists():
            tree.run("exportmodel", {**shared, **parameters, "OUTPUT": str(folder / name)})


def _write_reference(tree: Tree, folder: Path) -> None:
    """A map, and class values that differ from it in squares; a few pixels have none."""
    output = folder / "map.tif"
    tree.run("segment", {"INPUT": str(folder / "crop.tif"), "OUTPUT": str(output)})
    mapped = open_raster(output)
    band = mapped.GetRasterBand(1)
    values = band.ReadAsArray()
    random = np.random.default_rng(_SEED)
    for row, col in random.integers(0, (_ROWS, _COLS), (60, 2)):
        values[row : row + 18, col : col + 18] = random.integers(0, _CLASSES + 1)
    dataset = _write(folder / "reference.tif", values[None], _PIXEL, nodata=0)
    dataset.GetRasterBand(1).SetCategoryNames(band.GetCategoryNames())


def _label_points(tree: Tree, folder: Path) -> None:
    """A random sample of the map, labelled with the classes of the reference."""
    output = folder / "points.gpkg"
    tree.run("samplepoints", {**SAMPLE, "MAP": str(folder / "map.tif"), "OUTPUT": str(output)})
    reference = open_raster(folder / "reference.tif")
    band = reference.GetRasterBand(1)
    names, values = band.GetCategoryNames(), band.ReadAsArray()
    points = ogr.Open(str(output), 1)
    layer = points.GetLayer(0)
    for feature in layer:
        x, y, _ = feature.GetGeometryRef().GetPoint()
        value = values[int((_TOP - y) / _PIXEL), int((x - _LEFT) / _PIXEL)]
        if value:
            feature.SetField("reference", names[value])
            layer.SetFeature(feature)


SAMPLE = {"SAMPLES": "200", "MIN_PER_CLASS": "20", "SEED": "7"}
