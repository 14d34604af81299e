"""GDAL's global settings while a run lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal

CACHE_BYTES = 32 * 1024 * 1024
LARGEST_CACHE = 256 * 1024 * 1024

# The settings found by the first of the runs that last; the last of them puts them back.
_saved: list[tuple[int, int]] = []
_lock = threading.Lock()


@contextmanager
def gdal_session(cache_bytes: int = CACHE_BYTES) -> Iterator[None]:
    """Exceptions on and the block cache bounded; both are put back afterwards.

    By default the cache takes 5 % of the computer's memory, which makes the peak memory of a run
    depend on the machine and on the raster.
    """
    _enter(cache_bytes)
    try:
        yield
    finally:
        _leave()


def grow_cache(wanted: int) -> None:
    """Give GDAL's cache ``wanted`` bytes, within bounds, until the session ends."""
    with _lock:
        gdal.SetCacheMax(max(gdal.GetCacheMax(), min(wanted, LARGEST_CACHE)))


def _enter(cache_bytes: int) -> None:
    with _lock:
        if not _saved:
            _saved.append((gdal.GetUseExceptions(), gdal.GetCacheMax()))
            gdal.UseExceptions()
            gdal.SetCacheMax(cache_bytes)
        else:
            _saved.append(_saved[0])


def _leave() -> None:
    with _lock:
        had_exceptions, had_cache = _saved.pop()
        if not _saved:
            gdal.SetCacheMax(had_cache)
            if not had_exceptions:
                gdal.DontUseExceptions()
