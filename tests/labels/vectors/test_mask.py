"""Polygons say which pixels of a raster are to be mapped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr

from scasnet_qgis.common.errors import Cancelled, InputError
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.vectors.mask import AreaOfInterest
from scasnet_qgis.tiling.windows import Window
from tests.labels.layers import (
    COLS,
    NORTH_UP,
    ROTATED,
    ROWS,
    SOUTH_UP,
    centres,
    inside,
    polygon,
    square,
    wkt,
    write_layer,
)

TRIANGLE = [(500013.1, 3999952.3), (500060.7, 3999948.8), (500041.2, 3999989.6)]
GRID = Grid(ROWS, COLS, NORTH_UP, wkt(32640))
FORMATS = [
    ("GPKG", "gpkg"), ("ESRI Shapefile", "shp"), ("GeoJSON", "geojson"), ("GML", "gml"),
    ("FlatGeobuf", "fgb"),
]  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


def write(path: Path, *shapes: str | None, **how) -> str:
    return write_layer(path, [("x", shape) for shape in shapes], **how)


def mapped(area: AreaOfInterest, grid: Grid, size: int = 50) -> np.ndarray:
    """What is inside, put together from windows."""
    found = np.zeros((grid.rows, grid.cols), dtype=bool)
    for row in range(0, grid.rows, size):
        for col in range(0, grid.cols, size):
            window = Window(row, col, size, size).intersect(grid.whole)
            part = area.inside(window)
            found[row : window.row_end, col : window.col_end] = True if part is None else part
    return found


def ogr_burnt(source: str, grid: Grid) -> np.ndarray:
    """What GDAL burns of a file in the grid's own reference system."""
    raster = gdal.GetDriverByName("MEM").Create("", grid.cols, grid.rows, 1)
    raster.SetGeoTransform(grid.geotransform)
    raster.SetProjection(grid.wkt)
    file = gdal.OpenEx(source, gdal.OF_VECTOR)
    gdal.RasterizeLayer(raster, [1], file.GetLayer(0), burn_values=[1])
    return raster.ReadAsArray() == 1


def encloses(window: Window, found: np.ndarray) -> bool:
    outside = np.ones_like(found)
    outside[window.row : window.row_end, window.col : window.col_end] = False
    return not (found & outside).any()


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_pixels_whose_centre_lies_in_a_polygon_are_inside(tmp_path, placed):
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    area = AreaOfInterest(write(tmp_path / "a.gpkg", polygon(TRIANGLE)), grid)
    expected = inside(TRIANGLE, *centres(grid))
    assert expected.sum() > 1000
    assert np.array_equal(mapped(area, grid), expected)
    assert np.array_equal(mapped(area, grid, 17), expected)
    assert encloses(area.window(), expected)
    assert area.window().rows < ROWS


@pytest.mark.parametrize(("driver", "ending"), FORMATS)
def test_other_reference_systems_and_formats(tmp_path, driver, ending):
    """Some have an index of their own, some say the latitude first, some read in one way only."""
    metres = write(tmp_path / "metres.gpkg", polygon(TRIANGLE), square(500070, 3999990, 4))
    source = str(tmp_path / f"degrees.{ending}")
    gdal.VectorTranslate(source, metres, dstSRS="EPSG:4326", reproject=True, format=driver)
    expected = mapped(AreaOfInterest(metres, GRID), GRID)
    area = AreaOfInterest(source, GRID)
    found = mapped(area, GRID)
    assert expected.sum() > 1000
    assert (found != expected).sum() <= 3  # GeoJSON rounds to centimetres
    assert encloses(area.window(), found)


@pytest.mark.parametrize(("driver", "ending"), FORMATS)
def test_many_polygons_in_any_window(tmp_path, driver, ending):
    """Windows find all polygons that touch them, and no others, with and without an index."""
    generator = np.random.default_rng(4)
    expected = np.zeros((ROWS, COLS), dtype=bool)
    shapes = []
    for row, col, size in generator.integers((0, 0, 1), (ROWS, COLS, 9), (400, 3)).tolist():
        x, y = 500000 + col / 2, 4000000 - row / 2
        shapes.append(square(x, y - size / 2, size / 2))
        expected[row : row + size, col : col + size] = True
    source = write(tmp_path / f"a.{ending}", *shapes, driver=driver)
    area = AreaOfInterest(source, GRID)
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(mapped(area, GRID, 13), expected)
    assert np.array_equal(mapped(area, GRID, 200), expected)


def test_all_and_nothing(tmp_path):
    area = AreaOfInterest(write(tmp_path / "a.gpkg", square(500010, 3999950, 40)), GRID)
    assert area.inside(Window(40, 40, 30, 30)) is None
    nothing = area.inside(Window(0, 0, 10, 12))
    assert nothing is not None
    assert nothing.shape == (10, 12)
    assert nothing.dtype == np.bool_
    assert not nothing.any()
    partly = area.inside(Window(-4, 10, 60, 30))  # a tile may reach over the raster's edge
    assert partly is not None
    assert partly.shape == (60, 30)
    assert partly.sum() == 36 * 20


def test_holes_parts_and_overlaps(tmp_path):
    """A hole is outside, unless another polygon covers it; parts that overlap stay inside."""
    outer, hole = square(500010, 3999950, 40), square(500020, 3999960, 20)
    ring = outer[:-1] + "," + hole[len("POLYGON(") :]
    grid_hole = np.zeros((ROWS, COLS), dtype=bool)
    grid_hole[40:80, 40:80] = True
    expected = np.zeros((ROWS, COLS), dtype=bool)
    expected[20:100, 20:100] = True
    area = AreaOfInterest(write(tmp_path / "a.gpkg", ring), GRID)
    assert np.array_equal(mapped(area, GRID), expected & ~grid_hole)
    both = AreaOfInterest(write(tmp_path / "b.gpkg", hole, ring), GRID)
    assert np.array_equal(mapped(both, GRID), expected)
    parts = f"MULTIPOLYGON({outer[len('POLYGON') :]},{hole[len('POLYGON') :]})"
    crossing = write(tmp_path / "c.gpkg", parts, shape=ogr.wkbMultiPolygon)
    assert np.array_equal(mapped(AreaOfInterest(crossing, GRID), GRID), expected)
    mixed = f"GEOMETRYCOLLECTION(POINT(1 1),{outer},LINESTRING(0 0,1 1))"
    collection = write(tmp_path / "d.gpkg", mixed, None, shape=ogr.wkbUnknown)
    assert np.array_equal(mapped(AreaOfInterest(collection, GRID), GRID), expected)


def test_curves_are_followed(tmp_path):
    circle = "CURVEPOLYGON(CIRCULARSTRING(500020 3999970,500060 3999970,500020 3999970))"
    area = AreaOfInterest(write(tmp_path / "a.gpkg", circle, shape=ogr.wkbCurvePolygon), GRID)
    x, y = centres(GRID)
    distance = np.hypot(x - 500040, y - 3999970)
    found = mapped(area, GRID)
    assert found[distance < 19.9].all()
    assert not found[distance > 20.1].any()


@pytest.mark.parametrize(
    ("placed", "epsg"),
    [
        (NORTH_UP, 4326),
        (ROTATED, 32640),
        pytest.param(NORTH_UP, 32640, marks=pytest.mark.long),
        pytest.param(ROTATED, 4326, marks=pytest.mark.long),
    ],
)
def test_a_coastline_of_many_corners_is_the_same_in_windows_of_any_size(tmp_path, placed, epsg):
    """Small windows leave out corners that do not matter to them."""
    generator = np.random.default_rng(9)
    angles = np.linspace(0, 2 * np.pi, 6000, endpoint=False)
    shapes = []
    for middle, radius, noise in ((40, 60, 30), (40, 6, 4)):
        reach = radius + generator.uniform(-noise, noise, angles.size)
        x, y = 500000 + middle + reach * np.cos(angles), 3999970 + reach * np.sin(angles)
        shapes.append(polygon(list(zip(x.tolist(), y.tolist()))))
    ring = shapes[0][:-1] + "," + shapes[1][len("POLYGON(") :]
    metres = write(tmp_path / "metres.gpkg", ring)
    source = str(tmp_path / "a.gpkg")
    gdal.VectorTranslate(source, metres, dstSRS=f"EPSG:{epsg}", reproject=True)
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    area = AreaOfInterest(source, grid)
    expected = ogr_burnt(metres, grid)
    assert 0.3 < expected.mean() < 0.97
    for size in (11, 64, 200):
        differing = mapped(area, grid, size) != expected
        assert differing.mean() < (1e-9 if epsg == 32640 else 2e-4), size


def test_an_l_shape_leaves_its_corner_out(tmp_path):
    corners = [(0, 0), (80, 0), (80, 15), (15, 15), (15, 60), (0, 60)]
    shape = polygon([(500000 + x, 3999940 + y) for x, y in corners])
    area = AreaOfInterest(write(tmp_path / "a.gpkg", shape), GRID)
    assert area.window() == GRID.whole
    empty = area.inside(Window(0, 40, 80, 120))
    assert empty is not None
    assert not empty.any()
    assert area.inside(Window(0, 0, 120, 30)) is None


def test_only_what_overlaps_the_area_counts(tmp_path):
    source = write(tmp_path / "a.gpkg", square(500000, 3999990, 5), square(500070, 3999945, 5))
    part = Window(60, 80, 60, 80)
    area = AreaOfInterest(source, GRID, area=part)
    assert area.window().intersect(part) == area.window()
    assert area.window().rows < 20
    found = area.inside(part)
    assert found is not None
    assert found.sum() == 100
    with pytest.raises(InputError, match=r"a\.gpkg"):
        AreaOfInterest(source, GRID, area=Window(40, 40, 10, 10))


def test_a_layer_elsewhere_is_said_with_both_places(tmp_path):
    shape = polygon([(13.0, 52.0), (13.5, 52.0), (13.5, 52.5)])
    source = write(tmp_path / "berlin.gpkg", shape, epsg=4326)
    with pytest.raises(InputError) as caught:
        AreaOfInterest(source, GRID)
    for value in (
        *(source, "13.00000", "13.50000", "52.00000", "52.50000", "EPSG:4326 WGS 84"),
        *("500000.0", "500080.0", "3999940.0", "4000000.0", "EPSG:32640 WGS 84 / UTM zone 40N"),
    ):
        assert value in caught.value.sentence


def test_what_holds_no_polygons_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.gpkg"):
        AreaOfInterest(write(tmp_path / "none.gpkg"), GRID)
    empty = write(tmp_path / "empty.gpkg", None, "POLYGON EMPTY")
    with pytest.raises(InputError, match=r"empty\.gpkg"):
        AreaOfInterest(empty, GRID)
    line = "LINESTRING(500010 3999950,500020 3999960)"
    lines = write(tmp_path / "lines.gpkg", line, "POINT(500001 3999950)", shape=ogr.wkbUnknown)
    with pytest.raises(InputError, match="LINESTRING, POINT"):
        AreaOfInterest(lines, GRID)


def test_layers_are_chosen_by_name(tmp_path):
    source = write(tmp_path / "a.gpkg", square(500010, 3999950, 40))
    write(tmp_path / "a.gpkg", square(500010, 3999950, 2), name="fields")
    with pytest.raises(InputError, match="areas, fields"):
        AreaOfInterest(source, GRID)
    assert mapped(AreaOfInterest(source, GRID, layer="fields"), GRID).sum() == 16
    with pytest.raises(InputError, match=r"nothing\.gpkg"):
        AreaOfInterest(str(tmp_path / "nothing.gpkg"), GRID)


def test_a_reference_system_that_is_not_known_is_assumed_and_said(tmp_path, recorder):
    shape = polygon(TRIANGLE)
    expected = inside(TRIANGLE, *centres(GRID))
    for ending, driver in (("gpkg", "GPKG"), ("shp", "ESRI Shapefile")):
        source = write(tmp_path / f"a.{ending}", shape, epsg=None, driver=driver)
        found = mapped(AreaOfInterest(source, GRID, progress=recorder), GRID)
        assert np.array_equal(found, expected)
        assert source in recorder.warnings.pop()
    known = write(tmp_path / "b.gpkg", shape)
    bare = Grid(ROWS, COLS, NORTH_UP)
    assert np.array_equal(mapped(AreaOfInterest(known, bare, progress=recorder), bare), expected)
    assert "raster has no CRS" in recorder.warnings.pop()
    AreaOfInterest(known, GRID, progress=recorder)
    assert recorder.warnings == []


@pytest.mark.parametrize("placed", [None, (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)])
def test_a_raster_without_a_position_takes_no_mask(tmp_path, placed):
    source = write(tmp_path / "a.gpkg", square(10, -20, 5), epsg=None)
    with pytest.raises(InputError):
        AreaOfInterest(source, Grid(30, 40, placed))


def test_a_polygon_around_the_world_covers_everything(tmp_path):
    north = polygon([(-180, 10), (180, 10), (180, 90), (-180, 90)])
    area = AreaOfInterest(write(tmp_path / "a.gpkg", north, epsg=4326), GRID)
    assert area.window() == GRID.whole
    assert area.inside(GRID.whole) is None


def test_it_may_be_asked_from_several_threads(tmp_path):
    shapes = [square(500000 + offset, 3999940 + offset % 50, 3) for offset in range(0, 75, 2)]
    area = AreaOfInterest(write(tmp_path / "a.gpkg", *shapes), GRID)
    expected = mapped(area, GRID, 40)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda size: mapped(area, GRID, size), (20, 30, 40, 50)))
    assert all(np.array_equal(inside, expected) for inside in found)


def test_a_search_through_a_large_layer_can_be_cancelled(tmp_path, recorder):
    recorder.stop = True
    with pytest.raises(Cancelled):
        AreaOfInterest(write(tmp_path / "a.gpkg", polygon(TRIANGLE)), GRID, progress=recorder)
