"""Which pixels a model is shown: by the ground resolution of its card and of the raster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from osgeo import osr

from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.images.grid import Grid, metres_per_degree
from scasnet_qgis.mapping.model_grid import ModelGrid, log_resolution, model_grid
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder

CARD = ModelCard("m", (ModelClass("a", "#112233"), ModelClass("b", "#223344")))
DUBAI = replace(CARD, resolution=(0.95, 1.17))
GOOD = (0.95 * 1.17) ** 0.5


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


def raster(across: float, down: float, rows: int = 4000, cols: int = 6000) -> Grid:
    return Grid(rows, cols, (500000.0, across, 0.0, 4000000.0, 0.0, -down), wkt(32640))


def seen(grid: Grid, card: ModelCard = DUBAI, area: Window | None = None) -> ModelGrid | None:
    return model_grid(card, grid, area or grid.whole)


@pytest.mark.parametrize("size", [0.95, 1.05, 1.17, 0.91, 1.22])
def test_a_raster_that_fits_is_left_alone(size: float) -> None:
    assert seen(raster(size, size)) is None
    assert seen(raster(0.95, 1.17)) is None, "though its pixels are not square"


@pytest.mark.parametrize("size", [0.05, 0.35, 0.8, 1.3, 2.1, 2.8])
def test_any_other_is_brought_to_the_middle_of_the_range(size: float) -> None:
    found = seen(raster(size, size))
    assert found is not None
    assert found.resolution == pytest.approx(GOOD)
    assert found.size == (round(4000 * size / GOOD), round(6000 * size / GOOD))


def test_square_pixels_come_from_those_that_are_not() -> None:
    found = seen(raster(0.3, 0.6))
    assert found is not None
    lengths = (4000 * 0.6 / found.size[0], 6000 * 0.3 / found.size[1])
    assert lengths == pytest.approx((GOOD, GOOD), rel=1e-3)


def test_a_side_that_fits_is_not_resampled() -> None:
    found = seen(raster(1.0, 0.25))
    assert found is not None
    assert found.size == (1000, 6000)
    assert found.resolution == 1.0


@pytest.mark.parametrize("latitude", [0.0, 25.0, -60.0])
def test_degrees_become_metres_where_the_map_is(latitude: float) -> None:
    """By the middle of what is mapped, which may be far from that of the raster."""
    degrees = 4e-6
    rows = 50_000_000 if latitude else 4000
    top = latitude + 2000 * degrees
    grid = Grid(rows, 6000, (55.0, degrees, 0.0, top, 0.0, -degrees), wkt(4326))
    found = seen(grid, area=Window(0, 0, 4000, 6000))
    assert found is not None
    y, x = metres_per_degree(latitude)
    assert found.source == pytest.approx((degrees * y, degrees * x), rel=1e-6)
    assert found.down.factor * degrees * y == pytest.approx(GOOD, rel=1e-3)
    assert found.across.factor * degrees * x == pytest.approx(GOOD, rel=1e-3)


def test_rotated_and_south_up_rasters_are_measured_along_their_sides() -> None:
    for geotransform in ((5e5, 0.3, 0.4, 4e6, 0.4, -0.3), (5e5, 0.5, 0, 4e6, 0, 0.5)):
        found = seen(Grid(400, 600, geotransform, wkt(32640)))
        assert found is not None
        assert found.source == pytest.approx((0.5, 0.5))


def test_nothing_is_resampled_where_a_side_says_nothing() -> None:
    assert seen(raster(0.3, 0.3), CARD) is None
    assert seen(Grid(400, 600, None)) is None
    assert seen(Grid(400, 600, (0.0, 0.3, 0.0, 0.0, 0.0, -0.3))) is None


def test_a_raster_that_is_far_too_coarse_is_left_alone() -> None:
    """A layer in degrees that are none would else become billions of pixels."""
    assert seen(raster(2.9, 2.9)) is not None
    assert seen(raster(3.0, 3.0)) is None
    assert seen(Grid(400, 600, (0.0, 1.0, 0.0, 80.0, 0.0, -0.1), wkt(4326))) is None


def test_a_raster_of_few_pixels_is_seen_as_one_at_least() -> None:
    found = seen(raster(0.01, 0.01, 3, 7))
    assert found is not None
    assert found.size == (1, 1)


@pytest.mark.parametrize(
    ("size", "wanted", "told", "warning"),
    [
        (1.05, True, 0, False),
        (0.35, True, 1, False),
        (2.1, True, 1, False),
        (0.1, True, 1, True),
        (2.8, True, 1, True),
        (9.0, True, 0, True),
        (0.35, False, 0, True),
        (1.05, False, 0, False),
    ],
)
def test_what_is_told(
    size: float, wanted: bool, told: int, warning: bool, recorder: Recorder
) -> None:
    grid = raster(size, size)
    log_resolution(seen(grid) if wanted else None, DUBAI, grid, grid.whole, recorder)
    assert len(recorder.infos) == told
    assert all(f"{size:g} m" in line for line in recorder.infos)
    assert len(recorder.warnings) == warning


def test_three_digits_of_the_raster_four_of_the_model_and_the_size_of_the_part(
    recorder: Recorder,
) -> None:
    """The target is the geometric mean of 0.95 and 1.17 m, not a rounded 1.05."""
    grid = raster(0.525, 0.525)
    part = Window(0, 0, grid.rows // 2, grid.cols // 4)
    found = model_grid(DUBAI, grid, part)
    log_resolution(found, DUBAI, grid, part, recorder)
    assert found is not None
    assert "0.525 m" in recorder.infos[0]
    assert "1.054 m" in recorder.infos[0]
    assert f"{found.area.cols} columns x {found.area.rows} rows" in recorder.infos[0]
    assert found.area != found.whole


def test_long_pixels_are_told_without_an_exponent(recorder: Recorder) -> None:
    grid = raster(12345.6, 12345.6)
    log_resolution(seen(grid), DUBAI, grid, grid.whole, recorder)
    assert "12346 m" in recorder.warnings[0]


def test_both_sides_are_told_where_they_differ(recorder: Recorder) -> None:
    grid = raster(0.3, 0.6)
    log_resolution(seen(grid), DUBAI, grid, grid.whole, recorder)
    assert "0.3 m" in recorder.infos[0]
    assert "0.6 m" in recorder.infos[0]
