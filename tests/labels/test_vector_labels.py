"""Polygons come onto the grid of the image, wherever and however they are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.labels import IGNORE, Labels, classes_of
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
    inside,
    polygon,
    square,
    wkt,
    write_layer,
)

AREA = [(500013.1, 3999952.3), (500060.7, 3999948.8), (500041.2, 3999989.6)]  # a triangle

pytestmark = pytest.mark.usefixtures("session")


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_polygons_are_burnt_by_pixel_centres_on_any_grid(tmp_path, placed):
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    source = write_layer(tmp_path / "a.gpkg", [("wood", polygon(AREA))])
    labels = Labels(source, grid, classes("wood"), field="cover")
    expected = np.where(inside(AREA, *centres(grid)), 0, IGNORE)
    assert (expected == 0).sum() > 1000
    assert np.array_equal(in_windows(labels, grid), expected)
    window = labels.labelled_window()
    assert window is not None
    rows, cols = np.nonzero(expected == 0)
    assert window.row <= rows.min() <= rows.max() < window.row_end
    assert window.col <= cols.min() <= cols.max() < window.col_end
    if placed is not ROTATED:
        assert window.rows <= np.ptp(rows) + 5
        assert window.cols <= np.ptp(cols) + 5


def test_polygons_of_another_reference_system_lie_where_they_are(tmp_path):
    """Degrees, of which some programs store the latitude first."""
    grid = Grid(ROWS, COLS, ROTATED, wkt(32640))
    metres, degrees = osr.SpatialReference(), osr.SpatialReference()
    metres.ImportFromEPSG(32640)
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    way = osr.CoordinateTransformation(metres, degrees)
    moved = [way.TransformPoint(*corner)[:2] for corner in AREA]
    expected = np.where(inside(AREA, *centres(grid)), 0, IGNORE)
    for driver, ending in (("GPKG", "gpkg"), ("GeoJSON", "geojson"), ("GML", "gml")):
        source = write_layer(
            tmp_path / f"a.{ending}", [("x", polygon(moved))], epsg=4326, driver=driver
        )
        labels = Labels(source, grid, classes("x"), field="cover")
        found = in_windows(labels, grid)
        assert (found != expected).sum() <= 3, driver  # GeoJSON rounds to centimetres
        window = labels.labelled_window()
        assert window is not None
        assert window.rows < ROWS
        outside = np.ones_like(found, dtype=bool)
        outside[window.row : window.row_end, window.col : window.col_end] = False
        assert (found[outside] == IGNORE).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ogr.OFTInteger, [3, 12]),
        (ogr.OFTInteger64, [3, 12]),
        (ogr.OFTReal, [3.0, 12.0]),
        (ogr.OFTString, ["3", " 12.0"]),
    ],
)
def test_values_are_compared_as_texts(tmp_path, kind, values):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    shapes = [square(500000, 3999995, 2), square(500005, 3999995, 2)]
    source = write_layer(tmp_path / "a.gpkg", list(zip(values, shapes)), kind=kind)
    assert [entry.value for entry in classes_of(source, field="cover")] == ["3", "12"]
    found = Labels(source, grid, classes("12", "3"), field="cover").read(grid.whole)
    assert (found == 1).sum() == (found == 0).sum() == 16


def test_the_later_polygon_wins_in_every_window(tmp_path):
    """An index gives features in no order of their own; windows must agree all the same."""
    grid = Grid(100, 100, NORTH_UP, wkt(32640))
    generator = np.random.default_rng(4)
    features = []
    expected = np.full((100, 100), IGNORE)
    for _ in range(300):
        value, row, col = (int(number) for number in generator.integers(0, (5, 80, 80)))
        features.append((str(value), square(500000 + col / 2, 4000000 - row / 2 - 8, 8)))
        expected[row : row + 16, col : col + 16] = value
    source = write_layer(tmp_path / "a.gpkg", features)
    labels = Labels(source, grid, classes(*"01234"), field="cover")
    assert np.array_equal(labels.read(grid.whole), expected)
    assert np.array_equal(in_windows(labels, grid, 17), expected)


def test_what_carries_no_class_is_no_label(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    place = square(500001, 3999995, 3)
    features = [
        (None, place), ("", place), ("other", place), ("a", None), ("a", "POLYGON EMPTY"),
    ]  # fmt: skip
    source = write_layer(tmp_path / "a.gpkg", features)
    labels = Labels(source, grid, classes("a", ""), field="cover")
    assert (labels.read(grid.whole) == IGNORE).all()
    assert labels.labelled_window() is None
    assert [entry.value for entry in classes_of(source, field="cover")] == ["a", "other"]


def test_an_empty_layer_and_one_far_away(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    empty = write_layer(tmp_path / "empty.gpkg", [])
    far = write_layer(tmp_path / "far.gpkg", [("a", square(510000, 3999995, 3))])
    for source in (empty, far):
        labels = Labels(source, grid, classes("a"), field="cover")
        assert labels.labelled_window() is None
        assert (labels.read(grid.whole) == IGNORE).all()
    assert classes_of(empty, field="cover") == []


def test_points_are_one_pixel_and_lines_are_refused(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    source = write_layer(
        tmp_path / "p.gpkg", [("a", "POINT(500002.7 3999996.1)")], shape=ogr.wkbPoint
    )
    labels = Labels(source, grid, classes("a"), field="cover")
    assert np.argwhere(labels.read(grid.whole) == 0).tolist() == [[7, 5]]
    window = labels.labelled_window()
    assert window is not None
    assert window.intersect(Window(7, 5, 1, 1)) == Window(7, 5, 1, 1)
    lines = write_layer(
        tmp_path / "l.gpkg", [("a", "LINESTRING(0 0,1 1)")], shape=ogr.wkbLineString
    )
    with pytest.raises(InputError, match=r"l\.gpkg"):
        Labels(lines, grid, classes("a"), field="cover")


def test_polygons_over_an_image_without_a_position(tmp_path):
    """As QGIS shows it: columns to the right, rows downwards below 0."""
    grid = Grid(30, 40, None)
    source = write_layer(tmp_path / "a.gpkg", [("a", square(10, -20, 5))], epsg=None)
    labels = Labels(source, grid, classes("a"), field="cover")
    expected = np.full((30, 40), IGNORE)
    expected[15:20, 10:15] = 0
    assert np.array_equal(in_windows(labels, grid, 9), expected)


@pytest.mark.parametrize(("driver", "ending"), [("GPKG", "gpkg"), ("ESRI Shapefile", "shp")])
def test_a_layer_without_a_reference_system_is_taken_for_the_same(tmp_path, driver, ending):
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    features = [("wood", polygon(AREA))]
    source = write_layer(tmp_path / f"a.{ending}", features, epsg=None, driver=driver)
    found = Labels(source, grid, classes("wood"), field="cover").read(grid.whole)
    assert np.array_equal(found == 0, inside(AREA, *centres(grid)))


def test_layers_and_fields_are_chosen_by_name(tmp_path):
    grid = Grid(20, 20, NORTH_UP, wkt(32640))
    source = write_layer(tmp_path / "a.gpkg", [("a", square(500000, 3999995, 2))])
    write_layer(tmp_path / "a.gpkg", [], name="layer_styles", shape=ogr.wkbNone)
    Labels(source, grid, classes("a"), field="cover")
    write_layer(tmp_path / "a.gpkg", [], name="more")
    with pytest.raises(InputError, match="areas, more"):
        Labels(source, grid, classes("a"), field="cover")
    found = Labels(source, grid, classes("a"), layer="areas", field="cover").read(grid.whole)
    assert (found == 0).sum() == 16
    with pytest.raises(InputError, match=r"kind.*note, cover"):
        Labels(source, grid, classes("a"), layer="more", field="kind")
    with pytest.raises(InputError):
        Labels(source, grid, classes("a"))
    with pytest.raises(InputError, match=r"none\.gpkg"):
        Labels(str(tmp_path / "none.gpkg"), grid, classes("a"), field="cover")


def test_a_polygon_around_the_world_lies_where_it_is(tmp_path):
    """Corners on the other side of the earth have no place in UTM, but come out somewhere."""
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    north = polygon([(-180, 10), (180, 10), (180, 90), (-180, 90)])
    source = write_layer(tmp_path / "a.gpkg", [("a", north)], epsg=4326)
    labels = Labels(source, grid, classes("a"), field="cover")
    assert labels.labelled_window() == grid.whole
    assert (labels.read(grid.whole) == 0).all()
    south = Grid(9, 9, (500000.0, 1.0, 0.0, 1000000.0, 0.0, -1.0), wkt(32640))
    assert Labels(source, south, classes("a"), field="cover").labelled_window() is None


def test_a_large_polygon_that_crosses_itself_is_said_where_it_must_be_cut(tmp_path):
    x, y = 500040.0, 3999970.0
    crossed = polygon(
        [(x - 900, y - 800), (x + 900, y + 800), (x + 900, y - 800), (x - 900, y + 800)]
    )
    here = write_layer(tmp_path / "here.gpkg", [("a", crossed)])
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    found = Labels(here, grid, classes("a"), field="cover").read(grid.whole)
    assert 0.3 < (found == 0).mean() < 0.7
    there = str(tmp_path / "there.gpkg")
    gdal.VectorTranslate(there, here, dstSRS="EPSG:32639", reproject=True)
    with pytest.raises(InputError, match=r"there\.gpkg"):
        Labels(there, grid, classes("a"), field="cover").read(grid.whole)


def test_a_damaged_layer_is_said(tmp_path):
    """It must not seem to end where the damage begins."""
    shapes = [("a", square(500000 + offset / 100, 3999990, 1)) for offset in range(3000)]
    source = Path(write_layer(tmp_path / "a.gpkg", shapes))
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60_000] = bytes([255]) * 60_000
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.gpkg"):
        classes_of(str(source), field="cover")
    grid = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
    with pytest.raises(InputError, match=r"a\.gpkg"):
        Labels(str(source), grid, classes("a"), field="cover").labelled_window()


def test_classes_of_a_layer(tmp_path):
    place = square(500000, 3999995, 2)
    texts = ["wood", "10", "9", "wood", None, "No label", "9.0"]
    source = write_layer(tmp_path / "a.gpkg", [(text, place) for text in texts])
    assert [(entry.value, entry.name) for entry in classes_of(source, field="cover")] == [
        ("9", "class 9"), ("10", "class 10"), ("wood", "wood"),
    ]  # fmt: skip
    many = write_layer(tmp_path / "b.gpkg", [(str(number), place) for number in range(300)])
    with pytest.raises(InputError, match="254"):
        classes_of(many, field="cover")
