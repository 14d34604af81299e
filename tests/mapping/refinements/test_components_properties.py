"""Tallies of any amounts, against counting with a dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.mapping.refinements.components import KINDS, Tally

REGIONS = 6
entries = st.lists(
    st.tuples(st.integers(0, REGIONS - 1), st.integers(0, KINDS - 1), st.integers(0, 1000)),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(entries, st.integers(0, KINDS - 1))
def test_amounts_are_whole_numbers_added_up(
    given_entries: list[tuple[int, int, int]], kind: int
) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for region, label, amount in given_entries:
        expected[region, label] += amount
    regions, kinds, amounts = np.array(given_entries, dtype=np.int64).reshape(-1, 3).T
    tally = Tally.of(regions * KINDS + kinds, amounts)
    found = tally.amounts_of(kind, REGIONS)
    assert found.dtype == tally.amounts.dtype == np.int64
    assert found.tolist() == [expected[region, kind] for region in range(REGIONS)]
    assert tally.keys.tolist() == sorted(r * KINDS + k for r, k in expected)
