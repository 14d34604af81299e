"""How many pixels a patch needs, from pixels or square metres."""

from __future__ import annotations

import pytest
from osgeo import osr

from scasnet_qgis.common.choices import PIXELS, SQUARE_METRES
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.refinements.min_area import MinArea

pytestmark = pytest.mark.usefixtures("session")


def grid(epsg: int, *placed: float, rows: int = 500) -> Grid:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return Grid(rows, 300, placed, str(reference.ExportToWkt()))


METRES = grid(32640, 5e5, 0.5, 0.0, 4e6, 0.0, -0.5)
DEGREES = grid(4326, 55.0, 1e-4, 0.0, 60.0, 0.0, -1e-4, rows=20_000)
WEB = grid(3857, 6e6, 1.0, 0.0, 7e6, 0.0, -1.0)


@pytest.mark.parametrize(("size", "limit"), [(50, 50), (0.3, 1), (7.5, 8), (1e30, 2**40)])
def test_pixels(size: float, limit: int) -> None:
    for where in (METRES, DEGREES, Grid(5, 5, None)):
        assert MinArea.of(size, PIXELS, where) == MinArea(limit)


@pytest.mark.parametrize(("size", "limit"), [(100, 400), (100.1, 401), (0.25, 1), (0.1, 1)])
def test_square_metres_on_an_even_grid(size: float, limit: int) -> None:
    assert MinArea.of(size, SQUARE_METRES, METRES) == MinArea(limit)


def test_an_area_that_is_rounded_still_is_enough() -> None:
    """40 pixels of 1.1025 square metres are 44.1, whatever 1.05 * 1.05 is in binary."""
    placed = grid(32640, 5e5, 1.05, 0.0, 4e6, 0.0, -1.05)
    assert MinArea.of(44.1, SQUARE_METRES, placed).limit == 40


@pytest.mark.parametrize("where", [DEGREES, WEB], ids=["degrees", "web mercator"])
def test_square_metres_where_pixels_differ(where: Grid) -> None:
    """As many pixels as the ground area at their latitude needs."""
    smallest = MinArea.of(1000, SQUARE_METRES, where)
    assert smallest.weights is not None
    assert len(smallest.weights) == where.rows
    for row in (0, where.rows // 2, where.rows - 1):
        enough = smallest.limit / smallest.weights[row]
        assert enough == pytest.approx(1000 / where.pixel_area(row), rel=1e-4)
    assert smallest.weights[-1] > smallest.weights[0], "pixels grow towards the equator"
    assert smallest.pixels == -(-smallest.limit // smallest.weights[-1])


def test_a_pixel_larger_than_the_patch_stays() -> None:
    smallest = MinArea.of(1.0, SQUARE_METRES, DEGREES)
    assert smallest.weights is not None
    assert (smallest.weights == smallest.limit).all()


@pytest.mark.parametrize(
    "where",
    [Grid(5, 5, None), Grid(5, 5, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))],
    ids=["no place", "no reference"],
)
def test_no_metres_without_a_reference(where: Grid) -> None:
    with pytest.raises(SettingError):
        MinArea.of(10, SQUARE_METRES, where)
