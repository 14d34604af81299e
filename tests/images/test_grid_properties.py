"""Metres per degree at any latitude."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scasnet_qgis.images.grid import metres_per_degree

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
