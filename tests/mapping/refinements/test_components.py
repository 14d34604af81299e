"""Regions and tallies against what counting pixel by pixel gives."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from scasnet_qgis.mapping.refinements.components import KINDS, MOST, Tally, join, label_regions

MAPS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
)


def as_found_elsewhere(values: np.ndarray) -> np.ndarray:
    """4-connected regions by SciPy, class by class."""
    ids, count = np.zeros(values.shape, dtype=np.int64), 0
    for value in np.unique(values[values > 0]):
        found, more = ndimage.label(values == value)
        ids[found > 0] = found[found > 0] + count
        count += more
    return ids


def check(values: np.ndarray) -> None:
    ids, count = label_regions(values)
    expected = as_found_elsewhere(values)
    assert count == expected.max()
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids == 0, values == 0)
    assert set(np.unique(ids)) - {0} == set(range(1, count + 1))
    pairs = np.unique(np.stack([ids.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(ids)), "one number for each region, and the reverse"


@given(MAPS)
def test_any_map(values: np.ndarray) -> None:
    check(values)


@pytest.mark.parametrize(
    ("values", "most"),
    [(np.ones((400, 500)), 3.5), (np.indices((400, 500)).sum(axis=0) % 2 + 1, 9)],
    ids=["one region", "checkerboard"],
)
def test_memory_is_a_small_multiple_of_the_numbers(values: np.ndarray, most: float) -> None:
    """Of maps with as few and as many regions as can be."""
    given_map = values.astype(np.uint8)
    tracemalloc.start()
    try:
        ids, _ = label_regions(given_map)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most * ids.nbytes


def spiral(size: int) -> np.ndarray:
    """One pixel wide, from the outside to the middle, with a gap as wide."""
    values = np.ones((size, size), dtype=np.uint8)
    row, col, step, length = 1, 0, (0, 1), size - 1
    while length > 1:
        for _ in range(length):
            values[row, col] = 2
            row, col = row + step[0], col + step[1]
        row, col = row - step[0], col - step[1]
        step = (step[1], -step[0])
        row, col = row + step[0], col + step[1]
        length -= 1 if step[0] else 2
    return values


@pytest.mark.parametrize(
    "values",
    [
        np.indices((50, 60)).sum(axis=0) % 2 + 1,
        np.where((np.arange(41) % 2 == 0)[None] | (np.arange(30) == 29)[:, None], 1, 2),
        np.where((np.arange(41) % 2 == 0)[None] | (np.arange(30) == 0)[:, None], 1, 0),
        np.random.default_rng(1).integers(0, 3, (200, 150)),
        np.zeros((5, 5)),
        spiral(40),
    ],
    ids=["checkerboard", "comb", "comb upside down", "noise", "nothing", "spiral"],
)
def test_awkward_shapes(values: np.ndarray) -> None:
    check(values.astype(np.uint8))


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60))
def test_joined_numbers_get_the_lowest_of_their_set(pairs: list[tuple[int, int]]) -> None:
    sets = [{number} for number in range(30)]
    for a, b in pairs:
        union = sets[a] | sets[b]
        for member in union:
            sets[member] = union
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert join(30, one, other).tolist() == [min(members) for members in sets]


@pytest.mark.parametrize("shape", ["chain", "star"])
def test_large_sets_take_few_rounds(shape: str) -> None:
    """A round for each number would take minutes."""
    count = 50_000
    order = np.random.default_rng(2).permutation(count)
    one, other = order[:-1], order[1:]
    if shape == "star":  # all are joined with the highest
        one, other = np.arange(count - 1), np.full(count - 1, count - 1)
    begin = time.process_time()
    assert not join(count, one, other).any()
    assert time.process_time() - begin < 5


def tally_of(*entries: tuple[int, int, int]) -> Tally:
    regions, kinds, amounts = np.array(entries, dtype=np.int64).T
    return Tally.of(regions * KINDS + kinds, amounts)


def test_the_largest_kind_and_of_equal_ones_the_lower() -> None:
    tally = tally_of((0, 3, 5), (0, 2, 4), (0, 2, 1), (2, 9, 1), (2, 1, 7), (2, 200, 6))
    assert tally.largest(4).tolist() == [2, 0, 1, 0]
    assert tally.largest(4).dtype == np.uint8
    assert tally.amounts_of(2, 4).tolist() == [5, 0, 0, 0]


def test_tallies_add_up_in_any_order() -> None:
    parts = [tally_of((0, 1, MOST - 3)), tally_of((0, 1, 2), (1, 4, 1)), tally_of((0, 1, 9))]
    one, other = Tally.together(parts), Tally.together(parts[::-1])
    assert one.amounts.tolist() == other.amounts.tolist() == [MOST, 1]
    assert Tally.together([one, *parts]).amounts.tolist() == [MOST, 2]


def test_regions_move_and_meet() -> None:
    tally = tally_of((0, 1, 2), (1, 1, 3), (2, 5, 4), (3, 1, 9)).moved(np.array([7, 7, 0, -1]))
    assert np.divmod(tally.keys, KINDS)[0].tolist() == [0, 7]
    assert tally.amounts.tolist() == [4, 5]
    assert tally.keys.dtype == tally.amounts.dtype == np.int64
