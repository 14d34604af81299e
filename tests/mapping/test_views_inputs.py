"""Odd images that are resampled: what else is done to them stays right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from tests.conftest import MakeRaster
from tests.labels.layers import polygon, wkt, write_layer
from tests.mapping.test_views import COARSE, COLS, FINE, ROWS, patches, placed, run

EACH_WAY = pytest.mark.parametrize("resolution", [FINE, COARSE], ids=["finer", "coarser"])
Range = tuple[float, float]


def paletted(path: Path, numbers: np.ndarray, colours: np.ndarray) -> str:
    """A raster of numbers [rows, cols] of colours, of which 0 is no data."""
    driver = gdal.GetDriverByName("GTiff")
    dataset = driver.Create(str(path), COLS, ROWS, 1, options=["TILED=YES", "SPARSE_OK=TRUE"])
    table = gdal.ColorTable()
    for number, colour in enumerate(colours.tolist()):
        table.SetColorEntry(number, (*colour, 255))
    band = dataset.GetRasterBand(1)
    band.SetColorTable(table)
    band.SetNoDataValue(0)
    band.WriteArray(numbers)
    dataset.SetGeoTransform(placed())
    dataset.SetProjection(wkt(32640))
    return str(path)


@EACH_WAY
def test_a_palette_is_resampled_as_colours(
    make_raster: MakeRaster, tmp_path: Path, resolution: Range
) -> None:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 9, (-(-ROWS // 6), -(-COLS // 6)))
    numbers = coarse.repeat(6, axis=0).repeat(6, axis=1)[:ROWS, :COLS].astype(np.uint8)
    colours = random.integers(1, 256, (9, 3)).astype(np.uint8)
    found, _ = run(paletted(tmp_path / "numbers.tif", numbers, colours), tmp_path, resolution)
    image = np.where(numbers == 0, 0, colours[numbers].transpose(2, 0, 1)).astype(np.uint8)
    plain, _ = run(make_raster(image, nodata=0, geotransform=placed()), tmp_path, resolution)
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_array_equal(found == 0, numbers == 0)


@EACH_WAY
def test_what_is_not_stored_makes_no_difference_within_a_mask(
    make_raster: MakeRaster, tmp_path: Path, resolution: Range
) -> None:
    image = patches()
    image[:, 60:200, 64:300] = 0
    dense = make_raster(image, "dense.tif", nodata=0, geotransform=placed())
    sparse = str(tmp_path / "sparse.tif")
    blocks = ["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"]
    gdal.Translate(sparse, dense, creationOptions=blocks)
    corners = [(20, 15), (400, 40), (330, 280), (60, 220)]
    shape = polygon([(500000 + col, 4000000 - row) for col, row in corners])
    settings = {
        "mask": write_layer(tmp_path / "mask.gpkg", [("a", shape)]),
        "extent": (500033, 3999745, 500377, 3999967),
    }
    expected, _ = run(dense, tmp_path, resolution, **settings)
    found, _ = run(sparse, tmp_path, resolution, **settings)
    np.testing.assert_array_equal(found, expected)
    assert 0 < (found > 0).mean() < 1
