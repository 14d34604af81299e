"""Geotransforms of all kinds: extents to windows, windows to grids, ground areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.images.grid import Grid, metres_per_degree
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster

NORTH_UP = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
SOUTH_UP = (500000.0, 0.5, 0.0, 3999900.0, 0.0, 0.5)
ROTATED = (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)
ROWS, COLS = 100, 160
FOOT = 1200 / 3937  # US survey


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


def extent_of(grid: Grid, window: Window) -> tuple[float, float, float, float]:
    corners = [
        grid.to_map(row, col)
        for row in (window.row, window.row_end)
        for col in (window.col, window.col_end)
    ]
    xs, ys = zip(*corners)
    return min(xs), min(ys), max(xs), max(ys)


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, None])
@pytest.mark.parametrize("window", [Window(0, 0, ROWS, COLS), Window(7, 20, 1, 33)])
def test_the_extent_of_a_window_gives_the_window_back(
    placed: tuple[float, ...] | None, window: Window
) -> None:
    grid = Grid(ROWS, COLS, placed)
    assert grid.window_of(*extent_of(grid, window)) == window


def test_an_extent_snaps_outwards_and_is_cut_at_the_raster() -> None:
    grid = Grid(ROWS, COLS, NORTH_UP)
    assert grid.window_of(500001.2, 3999990.1, 500002.6, 3999998.9) == Window(2, 2, 18, 4)
    assert grid.window_of(0, 0, 1e9, 1e9) == grid.whole
    assert grid.window_of(0, 3999999.9, 500000.1, 1e9) == Window(0, 0, 1, 1)


@pytest.mark.parametrize(
    ("placed", "decimals"),
    [
        ((654321.37123, 0.0597164, 0.0, 4123456.71234, 0.0, -0.0597164), 4),
        ((55.12345678901, 5.364418e-7, 0.0, 25.12345678901, 0.0, -5.364418e-7), 9),
    ],
)
def test_an_extent_that_qgis_rounded_adds_no_row(placed: tuple[float, ...], decimals: int) -> None:
    """QGIS's extent widget writes 4 decimals of metres and 9 of degrees."""
    grid = Grid(4000, 4000, placed)
    for row in range(0, 3000, 37):
        window = Window(row, row + 11, 501, 302)
        rounded = (round(edge, decimals) for edge in extent_of(grid, window))
        assert grid.window_of(*rounded) == window


def test_a_rotated_extent_covers_its_window() -> None:
    grid = Grid(ROWS, COLS, ROTATED)
    window = Window(30, 40, 20, 10)
    found = grid.window_of(*extent_of(grid, window))
    assert found.intersect(window) == window


@pytest.mark.fault("An extent that does not overlap the image.", "One sentence.")
@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED, None])
def test_an_extent_outside(placed: tuple[float, ...] | None) -> None:
    with pytest.raises(InputError):
        Grid(ROWS, COLS, placed).window_of(10.0, 1e7, 20.0, 1.1e7)


def test_an_extent_outside_is_told_where_the_raster_lies() -> None:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    grid = Grid(100, 200, (500000.0, 0.5, 0.0, 4000000.25, 0.0, -0.5), reference.ExportToWkt())
    with pytest.raises(InputError) as caught:
        grid.window_of(10.0, 1e7, 20.0, 1.1e7)
    for value in ("500000", "500100", "3999950.25", "4000000.25", "WGS 84 / UTM zone 40N"):
        assert value in str(caught.value)


def test_how_much_of_an_extent_lies_on_the_raster() -> None:
    grid = Grid(100, 200, (0.0, 1.0, 0.0, 100.0, 0.0, -1.0))
    assert grid.share_of(10.0, 10.0, 20.0, 20.0) == 1.0
    assert grid.share_of(-100.0, 0.0, 100.0, 100.0) == 0.5
    assert grid.share_of(150.0, 50.0, 250.0, 150.0) == 0.25
    assert Grid(100, 200, ROTATED).share_of(500000.0, 0.0, 600000.0, 4e6) is None


def test_a_degenerate_geotransform() -> None:
    with pytest.raises(InputError):
        Grid(5, 5, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)).window_of(0, 0, 1, 1)


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED])
def test_a_part_lies_where_its_pixels_lay(placed: tuple[float, ...]) -> None:
    grid = Grid(ROWS, COLS, placed, wkt(32640))
    part = grid.part(Window(30, 40, 20, 10))
    assert (part.rows, part.cols, part.wkt) == (20, 10, grid.wkt)
    assert part.to_map(3.5, 4.5) == pytest.approx(grid.to_map(33.5, 44.5), abs=1e-9)
    assert part.geotransform is not None
    kept = [1, 2, 4, 5]
    assert [part.geotransform[i] for i in kept] == [placed[i] for i in kept]
    assert grid.part(grid.whole) == grid


def test_a_raster_without_a_place_counts_rows_downwards_as_qgis_shows_it() -> None:
    grid = Grid(ROWS, COLS, None)
    assert grid.part(grid.whole).geotransform is None
    assert grid.window_of(5.0, -30.0, 15.0, -7.0) == Window(7, 5, 23, 10)
    part = grid.part(Window(7, 5, 23, 10))
    assert part.geotransform == (5.0, 1.0, 0.0, -7.0, 0.0, -1.0)


@pytest.mark.parametrize("placed", [NORTH_UP, SOUTH_UP, ROTATED, None])
@pytest.mark.parametrize("epsg", [32640, None])
def test_the_grid_of_a_file(
    make_raster: MakeRaster, placed: tuple[float, ...] | None, epsg: int | None
) -> None:
    source = make_raster(np.zeros((ROWS, COLS), np.uint8), geotransform=placed, epsg=epsg)
    grid = Grid.of(gdal.Open(source))
    assert (grid.rows, grid.cols, grid.geotransform) == (ROWS, COLS, placed)
    assert bool(grid.wkt) == (epsg is not None)


def test_metres() -> None:
    for placed in (NORTH_UP, SOUTH_UP, ROTATED):
        grid = Grid(ROWS, COLS, placed, wkt(32640))
        assert grid.area_unit == "m2"
        assert grid.pixel_area(10) == pytest.approx(0.25)
        assert grid.resolution == pytest.approx(0.5)


@pytest.mark.fault("A reference system in feet.", "Areas are in square metres.")
@pytest.mark.parametrize(
    "reference", [wkt(2263), f'LOCAL_CS["site",UNIT["US survey foot",{1200 / 3937}]]']
)
def test_feet(reference: str) -> None:
    grid = Grid(ROWS, COLS, (0.0, 3.0, 0.0, 0.0, 0.0, -3.0), reference)
    assert grid.area_unit == "m2"
    assert grid.pixel_area(0) == pytest.approx(9 * FOOT**2)
    assert grid.resolution == pytest.approx(3 * FOOT)


@pytest.mark.fault(
    "An image in Web Mercator.",
    "Areas and resolution are those on the ground, not those of the stretched map.",
)
def test_web_mercator_is_not_taken_for_metres_on_the_ground() -> None:
    """At 60 degrees north a metre of the web map is half a metre on the ground."""
    grid = Grid(10, 20, (0.0, 1.0, 0.0, 8399742.5, 0.0, -1.0), wkt(3857))
    assert grid.resolution == pytest.approx(0.5, rel=1e-3)
    assert grid.pixel_area(5) == pytest.approx(0.25, rel=1e-3)


def test_mercator_with_a_standard_parallel_is_true_there() -> None:
    """EPSG:3994 is true to scale at 41 degrees south."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(3994)
    geographic = reference.CloneGeogCS()
    for system in (reference, geographic):
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    x, y, _ = osr.CoordinateTransformation(geographic, reference).TransformPoint(100.0, -41.0)
    grid = Grid(2, 2, (x, 1.0, 0.0, y, 0.0, -1.0), wkt(3994))
    assert grid.resolution == pytest.approx(1.0, rel=1e-3)


@pytest.mark.fault("An image in degrees.", "Areas depend on the latitude, row by row.")
@pytest.mark.parametrize("up", [-1, 1])
def test_degrees_depend_on_the_latitude(up: int) -> None:
    """Peers take the pixel size of EPSG:4326 for metres."""
    grid = Grid(10, 20, (55.0, 1e-5, 0.0, 60.0, 0.0, up * 1e-5), wkt(4326))
    north, east = metres_per_degree(60.0)
    assert grid.area_unit == "m2"
    assert grid.pixel_area(0) == pytest.approx(1e-10 * north * east)
    assert grid.resolution == pytest.approx(1e-5 * (north * east) ** 0.5, rel=1e-4)
    half = Grid(10, 20, (55.0, 1.0, 0.0, 60.0, 0.0, -1.0), wkt(4326))
    assert half.pixel_area(9.5) > half.pixel_area(0.5), "nearer to the equator"


@pytest.mark.fault(
    "An image without a reference system or a position.",
    "Areas are in map units or pixels; no metres are claimed.",
)
@pytest.mark.parametrize(
    ("placed", "reference", "unit"),
    [(NORTH_UP, "", "map units squared"), (None, "", "pixels"), (None, wkt(32640), "pixels")],
)
def test_where_nothing_tells_metres_none_are_claimed(
    placed: tuple[float, ...] | None, reference: str, unit: str
) -> None:
    grid = Grid(ROWS, COLS, placed, reference)
    assert grid.area_unit == unit
    assert grid.resolution is None
    assert grid.pixel_area(0) == pytest.approx(1.0 if placed is None else 0.25)


@pytest.mark.parametrize(
    ("latitude", "north", "east"),
    [  # National Geospatial-Intelligence Agency's table of lengths of a degree
        (0, 110_574, 111_319),
        (45, 111_132, 78_847),
        (-45, 111_132, 78_847),
        (60, 111_412, 55_800),
        (90, 111_694, 0),
    ],
)
def test_known_lengths(latitude: float, north: float, east: float) -> None:
    assert metres_per_degree(latitude) == pytest.approx((north, east), abs=1)


def test_the_whole_earth_has_its_known_area() -> None:
    step = 0.1
    total = 0.0
    for row in range(1800):
        north, east = metres_per_degree(-90 + (row + 0.5) * step)
        total += north * step * east * 360
    assert total == pytest.approx(510_065_621.7e6, rel=1e-6)


latitudes = st.floats(-90, 90)


@given(latitudes)
def test_north_and_south_are_alike_and_bounded(latitude: float) -> None:
    down, right = metres_per_degree(latitude)
    assert metres_per_degree(-latitude) == pytest.approx((down, right))
    assert 110_500 < down < 111_700
    assert -1e-6 < right < 111_400


@given(latitudes, latitudes)
def test_degrees_of_longitude_shrink_towards_the_poles(one: float, other: float) -> None:
    near, far = sorted((abs(one), abs(other)))
    assert metres_per_degree(near)[1] >= metres_per_degree(far)[1]
    assert metres_per_degree(near)[0] <= metres_per_degree(far)[0]


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_beyond_a_pole_is_the_pole(pole: float) -> None:
    """A raster's edge may lie there by a rounding."""
    assert metres_per_degree(1.01 * pole) == metres_per_degree(pole)
