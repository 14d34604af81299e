"""Metres of a degree on the WGS84 ellipsoid."""

from __future__ import annotations

import pytest

from scasnet_qgis.images.grid import metres_per_degree


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


def test_rows_beyond_a_pole_are_the_pole_s() -> None:
    assert metres_per_degree(90.2) == metres_per_degree(90)
