"""How many tiles a graphics card gets; without one, everything works as well."""

from __future__ import annotations

import numpy as np
import pytest

from scasnet_qgis.models.cuda import PageLocks, device_name, free_bytes, tiles_at_once

GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("free", "tile", "tiles", "count"),
    [
        (None, GIGABYTE, None, 1),
        (GIGABYTE, GIGABYTE, None, 1),
        (8 * GIGABYTE, GIGABYTE, None, 2),
        (24 * GIGABYTE, GIGABYTE // 4, None, 16),
        (24 * GIGABYTE, GIGABYTE // 4, 5, 5),
        (0, GIGABYTE, 5, 1),
    ],
)
def test_tiles_follow_the_free_memory(
    free: int | None, tile: int, tiles: int | None, count: int
) -> None:
    assert tiles_at_once(free, tile, tiles) == count


def test_locking_pages_leaves_what_they_hold() -> None:
    locks = PageLocks()
    array = np.arange(100_000)
    locks.lock(array)
    np.testing.assert_array_equal(array, np.arange(100_000))
    locks.release(array)
    locks.release(array)
    np.testing.assert_array_equal(array, np.arange(100_000))


def test_what_is_known_of_a_card_fits_together() -> None:
    """Without a card there is no name; with one there is memory, if CUDA's runtime is there."""
    free = free_bytes()
    assert isinstance(device_name(), str)
    assert free is None or (free > 0 and device_name())
