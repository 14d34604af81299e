"""GDAL's global settings last as long as the runs that need them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from osgeo import gdal

from scasnet_qgis.images.gdal_session import CACHE_BYTES, LARGEST_CACHE, gdal_session, grow_cache


def state() -> tuple[int, int]:
    return gdal.GetUseExceptions(), gdal.GetCacheMax()


@pytest.fixture(params=[False, True])
def before(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    had_exceptions, _ = state()
    gdal.UseExceptions() if request.param else gdal.DontUseExceptions()
    yield state()
    gdal.UseExceptions() if had_exceptions else gdal.DontUseExceptions()


def test_the_cache_is_bounded_and_put_back(before: tuple[int, int]) -> None:
    with gdal_session():
        assert state() == (1, CACHE_BYTES)
    assert state() == before


def test_an_error_puts_everything_back_too(before: tuple[int, int]) -> None:
    with pytest.raises(ZeroDivisionError), gdal_session():
        raise ZeroDivisionError
    assert state() == before


def test_the_first_of_two_runs_to_end_takes_nothing_away(before: tuple[int, int]) -> None:
    """Without exceptions the other run would not notice that its disk is full."""
    first, second = gdal_session(), gdal_session()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert state() == (1, CACHE_BYTES)
    second.__exit__(None, None, None)
    assert state() == before


def test_the_cache_grows_within_bounds_and_is_put_back(before: tuple[int, int]) -> None:
    with gdal_session():
        grow_cache(CACHE_BYTES // 2)
        assert state() == (1, CACHE_BYTES)
        grow_cache(2 * CACHE_BYTES)
        assert state() == (1, 2 * CACHE_BYTES)
        grow_cache(1000 * CACHE_BYTES)
        assert state() == (1, LARGEST_CACHE)
    assert state() == before
