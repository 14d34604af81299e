"""Labels in rasters come onto the grid of the image, and bring their classes with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled, InputError
from scasnet_qgis.common.model_card import default_color
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.label_class import says_no_class, value_text
from scasnet_qgis.labels.labels import IGNORE, LabelClass, Labels, classes_of
from scasnet_qgis.labels.vectors.grid_transform import window_on
from scasnet_qgis.tiling.windows import Window
from tests.labels.layers import (
    COLS,
    NORTH_UP,
    ROTATED,
    ROWS,
    SOUTH_UP,
    centres,
    classes,
    in_windows,
    polygon,
    wkt,
    write_layer,
)

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def image_grid() -> Grid:
    return Grid(ROWS, COLS, NORTH_UP, wkt(32640))


def test_a_raster_on_the_same_grid_may_lie_elsewhere(make_raster, image_grid):
    """It begins 10 rows above and 30 columns right of the image, and ends inside."""
    values = np.random.default_rng(1).integers(0, 4, (100, 90)).astype(np.uint8)
    placed = (500000 + 15.0, 0.5, 0.0, 4000000 + 5.0, 0.0, -0.5)
    source = make_raster(values, "labels.tif", geotransform=placed, nodata=0)
    labels = Labels(source, image_grid, classes("2", "1"))
    expected = np.full((ROWS, COLS), IGNORE)
    expected[:90, 30:120] = np.select([values == 2, values == 1], [0, 1], IGNORE)[10:]
    assert labels.labelled_window() == Window(0, 30, 90, 90)
    assert np.array_equal(in_windows(labels, image_grid), expected)


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_a_raster_of_another_grid_gives_the_value_at_the_pixel_centre(make_raster, placed):
    """Coarser, shifted by parts of a pixel, with nodata, against the arithmetic."""
    values = np.random.default_rng(1).integers(0, 4, (40, 30)).astype(np.float32)
    coarse = (500003.3, 1.7, 0.0, 3999996.6, 0.0, -1.3)
    source = make_raster(values, "labels.tif", geotransform=coarse, nodata=1.0)
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    labels = Labels(source, grid, classes("0", "1", "2", "3"))
    x, y = centres(grid)
    cols, rows = np.floor((x - coarse[0]) / 1.7), np.floor((coarse[3] - y) / 1.3)
    covered = (rows >= 0) & (rows < 40) & (cols >= 0) & (cols < 30)
    seen = values[rows.clip(0, 39).astype(int), cols.clip(0, 29).astype(int)]
    expected = np.where(covered & (seen != 1), seen, IGNORE)
    assert 4000 < (expected != IGNORE).sum() < ROWS * COLS * 0.9
    assert np.array_equal(in_windows(labels, grid), expected)
    window = labels.labelled_window()
    assert window is not None
    assert (expected[window.row_end :] == IGNORE).all()


def test_a_raster_of_another_reference_system(make_raster, image_grid, tmp_path):
    """The image in UTM, its labels in degrees: what is known of the places must fit."""
    values = np.zeros((ROWS, COLS), dtype=np.uint8)
    values[30:80, 40:100] = 7
    metres = make_raster(values, "metres.tif", geotransform=NORTH_UP)
    source = str(tmp_path / "degrees.tif")
    gdal.Warp(source, metres, dstSRS="EPSG:4326", xRes=2e-6, yRes=2e-6, dstNodata=255)
    labels = Labels(source, image_grid, classes("7", "0"))
    found = in_windows(labels, image_grid)
    assert (found[1:-1, 1:-1] != np.where(values == 7, 0, 1)[1:-1, 1:-1]).mean() < 0.01
    assert labels.labelled_window() == image_grid.whole


def test_rasters_without_a_position_match_pixel_by_pixel(make_raster):
    values = np.random.default_rng(1).integers(0, 3, (50, 60)).astype(np.uint8)
    source = make_raster(values, "labels.tif", geotransform=None, epsg=None)
    found = Labels(source, Grid(50, 60, None), classes("0", "1", "2"))
    assert np.array_equal(in_windows(found, Grid(50, 60, None), 7), values)
    with pytest.raises(InputError, match=r"60.*50.*51"):
        Labels(source, Grid(51, 60, None), classes("1"))
    with pytest.raises(InputError, match=r"labels\.tif"):
        Labels(source, Grid(50, 60, NORTH_UP, wkt(32640)), classes("1"))
    by_order = Labels(source, Grid(50, 60, NORTH_UP, wkt(32640)), classes("1"), by_place=False)
    assert np.array_equal(by_order.read(Window(0, 0, 50, 60)) == 0, values == 1)
    with pytest.raises(InputError, match=r"60.*50"):
        Labels(source, Grid(51, 60, NORTH_UP, wkt(32640)), classes("1"), by_place=False)


def test_a_raster_elsewhere_has_no_labels_here(make_raster, image_grid):
    values = np.ones((50, 60), dtype=np.uint8)
    for index, epsg in enumerate((32640, 3857, 4326)):
        source = make_raster(values, f"{index}.tif", geotransform=(10, 1, 0, 20, 0, -1), epsg=epsg)
        labels = Labels(source, image_grid, classes("1"))
        assert labels.labelled_window() is None
        assert (labels.read(image_grid.whole) == IGNORE).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (np.uint8, ["0", "200", "300", "-1", "forest"]),
        (np.uint16, ["300", "65535", "70000", "2.5", "1"]),
        (np.int16, ["-5", "300", "12", "1", "0"]),
        (np.int32, ["-70000", "70000", "12", "1", "0"]),
        (np.float32, ["0.1", "2.5", "-3", "1e3", "0"]),
    ],
)
def test_values_of_all_types(make_raster, kind, values):
    known = [value for value in values if value != "forest"]
    limits = (-1e9, 1e9) if kind is np.float32 else (np.iinfo(kind).min, np.iinfo(kind).max)
    possible = [
        value
        for value in known
        if limits[0] <= float(value) <= limits[1]
        and (kind is np.float32 or float(value).is_integer())
    ]
    pixels = np.array([float(value) for value in possible]).astype(kind)[None].repeat(3, axis=0)
    source = make_raster(pixels, "labels.tif")
    grid = Grid(*pixels.shape, NORTH_UP, wkt(32640))
    found = Labels(source, grid, classes(*values)).read(grid.whole)
    assert found[0].tolist() == [values.index(value) for value in possible]
    assert {entry.value for entry in classes_of(source)} == {
        value_text(float(value)) for value in possible
    }


def test_images_are_no_labels(make_raster, image_grid):
    source = make_raster(np.zeros((3, 10, 10), np.uint8))
    with pytest.raises(InputError, match="3"):
        Labels(source, image_grid, classes("1"))
    noise = make_raster(np.arange(600, dtype=np.uint16).reshape(20, 30), "noise.tif")
    with pytest.raises(InputError, match="254"):
        classes_of(noise)
    assert len(classes_of(make_raster(np.arange(254, dtype=np.uint8)[None] + 1, "many.tif"))) == 254


def test_damaged_labels_are_said(make_raster, image_grid):
    values = np.random.default_rng(1).integers(0, 4, (ROWS, COLS)).astype(np.uint8)
    source = Path(make_raster(values, "labels.tif"))
    source.write_bytes(source.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"labels\.tif"):
        in_windows(Labels(str(source), image_grid, classes("1")), image_grid)


def test_names_and_colours_of_a_raster_that_has_them(make_raster):
    values = np.full((10, 10), 2, dtype=np.uint8)
    source = make_raster(values, "labels.tif", nodata=5)
    file = gdal.Open(source, gdal.GA_Update)
    file.GetGeoTransform()  # else GDAL 3.6 forgets the names
    band = file.GetRasterBand(1)
    band.SetCategoryNames(["Unlabelled", "field", "wood", "", "field", "nothing"])
    table = gdal.ColorTable()
    for value, color in enumerate([(0, 0, 0), (255, 255, 0), (0, 128, 0), (1, 1, 1)]):
        table.SetColorEntry(value, (*color, 255))
    band.SetColorTable(table)
    del band, file
    assert classes_of(source) == [
        LabelClass("1", "field", "#ffff00"),
        LabelClass("2", "wood", "#008000"),
        LabelClass("4", "field (4)", "#000000"),
    ]


def test_names_and_colours_of_an_attribute_table(make_raster):
    source = make_raster(np.full((10, 10), 3, dtype=np.uint16), "labels.tif")
    table = gdal.RasterAttributeTable()
    for title, kind, use in (
        ("Value", gdal.GFT_Integer, gdal.GFU_Generic),
        ("Class_name", gdal.GFT_String, gdal.GFU_Generic),
        ("R", gdal.GFT_Integer, gdal.GFU_Red),
        ("G", gdal.GFT_Integer, gdal.GFU_Green),
        ("B", gdal.GFT_Integer, gdal.GFU_Blue),
    ):
        table.CreateColumn(title, kind, use)
    table.SetRowCount(3)
    for row, (value, name, *color) in enumerate(
        [(1000, "lake", 0, 0, 255), (3, "rock", 90, 80, 70), (0, "no data", 0, 0, 0)]
    ):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
        for column, part in enumerate(color, start=2):
            table.SetValueAsInt(row, column, part)
    file = gdal.Open(source, gdal.GA_Update)
    file.GetRasterBand(1).SetDefaultRAT(table)
    del file
    assert classes_of(source) == [
        LabelClass("3", "rock", "#5a5046"),
        LabelClass("1000", "lake", "#0000ff"),
    ]


def test_without_names_the_values_are_the_classes(make_raster, recorder):
    values = np.full((600, 2100), 9, dtype=np.int16)
    values[-1, -1], values[0, 0] = -4, 0
    source = make_raster(values, nodata=0)
    assert classes_of(source) == [
        LabelClass("-4", "class -4", default_color(0)),
        LabelClass("9", "class 9", default_color(1)),
    ]
    recorder.stop = True
    with pytest.raises(Cancelled):
        classes_of(source, progress=recorder)


def test_names_that_say_that_there_is_no_class():
    names = ["Unlabelled", "unlabeled", "no data", "NoData", "no-label", "not labelled", "ignore"]
    assert all(map(says_no_class, names))
    others = ["background", "label", "data centre", "land", "0", "unlabelled roads", ""]
    assert not any(map(says_no_class, others))


def test_windows_on_other_grids():
    grid = Grid(100, 200, NORTH_UP, wkt(32640))
    half = Grid(50, 50, (500020.0, 1.0, 0.0, 3999990.0, 0.0, -1.0), wkt(32640))
    assert window_on(grid, half, Window(10, 5, 4, 3)) == Window(40, 50, 8, 6)
    assert window_on(grid, half, Window(45, 5, 4, 3)) is None
    turned = Grid(50, 50, (500020.0, 0.8, 0.6, 3999990.0, 0.6, -0.8), wkt(32640))
    found = window_on(grid, turned, Window(0, 0, 10, 10))
    assert found == Window(8, 40, 28, 28)


def test_options_of_qgis_do_not_hide_what_a_file_is(make_raster, tmp_path):
    values = np.random.default_rng(1).integers(0, 4, (ROWS, COLS)).astype(np.uint8)
    source = make_raster(values, "labels.tif", nodata=0)
    assert classes_of(f"{source}|option:NUM_THREADS=1") == classes_of(source)
    points = write_layer(tmp_path / "points.gpkg", [("a", polygon([(0, 0), (9, 0), (9, 9)]))])
    with pytest.raises(InputError):
        classes_of(f"{points}|option:LIST_ALL_TABLES=NO")
