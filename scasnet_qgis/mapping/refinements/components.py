"""Regions of equal pixels, and what is counted of them; for arrays and across arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = 256  # what is counted of a region is of one of so many kinds, such as classes
# Amounts end here. Adding up to an end gives the same in any order, which a sum that is rounded or
# that overflows does not.
MOST = 2**40


def label_regions(values: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
    """Number the 4-connected regions of equal values [rows, cols] from 1; 0 belongs to none.

    Returns the numbers [rows, cols] and how many there are. Runs along the rows are joined where
    they touch runs of the same value above; memory is some ten times that of the numbers at most.
    """
    begins = np.ones(values.shape, dtype=np.bool_)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    run = np.cumsum(begins.ravel(), dtype=np.int32).reshape(values.shape) - 1
    contact = (values[1:] == values[:-1]) & (values[1:] != 0)
    # One contact of two runs is enough: the first pixel of it, where one of the two begins.
    contact &= begins[1:] | begins[:-1]
    run_values = values[begins]
    first = join(len(run_values), run[:-1][contact], run[1:][contact])
    is_first = (first == np.arange(len(first))) & (run_values != 0)
    numbers = np.cumsum(is_first, dtype=np.int32)
    of_run = np.where(run_values != 0, numbers[first], 0).astype(np.int32)
    return of_run[run], int(numbers[-1])


def join(
    count: int, one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """The lowest number among all that are joined with each of ``count`` numbers, [count].

    ``one[i]`` and ``other[i]`` are joined. Each round hooks every set to the lowest neighbour, so
    that the sets are at least halved in two rounds.
    """
    lowest = np.arange(count, dtype=np.int64)
    while True:
        a, b = lowest[one], lowest[other]
        apart = a != b
        if not apart.any():
            return lowest
        one, other = a[apart], b[apart]
        high, low = np.maximum(one, other), np.minimum(one, other)
        order = np.argsort(-low, kind="stable")  # of equal indices numpy keeps the last value
        lowest[high[order]] = low[order]
        while True:
            further = lowest[lowest]
            if np.array_equal(further, lowest):
                break
            lowest = further


@dataclass(frozen=True)
class Tally:
    """How much of each kind belongs to each region: ``keys`` ascending, region * KINDS + kind."""

    keys: NDArray[np.int64]
    amounts: NDArray[np.int64]

    @classmethod
    def of(cls, keys: NDArray[np.int64], amounts: NDArray[np.int64] | None = None) -> Tally:
        """Amounts, or 1 for each, added up by key; no sum exceeds MOST."""
        unique, place = np.unique(keys, return_inverse=True)
        # The sums are of doubles, which are exact up to 2 ** 53, far above MOST.
        sums = np.bincount(place, weights=amounts, minlength=len(unique))
        return cls(unique, np.minimum(sums, MOST).astype(np.int64))

    @classmethod
    def together(cls, parts: list[Tally]) -> Tally:
        """All parts added up."""
        keys = np.concatenate([part.keys for part in parts])
        return cls.of(keys, np.concatenate([part.amounts for part in parts]))

    def moved(self, to: NDArray[np.integer[Any]]) -> Tally:
        """Region r becomes ``to[r]``, or is left out where that is negative."""
        regions, kinds = np.divmod(self.keys, KINDS)
        targets = to[regions].astype(np.int64)
        kept = targets >= 0
        return Tally.of(targets[kept] * KINDS + kinds[kept], self.amounts[kept])

    def amounts_of(self, kind: int, count: int) -> NDArray[np.int64]:
        """The amounts of one kind for regions 0 to ``count`` - 1."""
        found = np.zeros(count, dtype=np.int64)
        wanted = self.keys % KINDS == kind
        found[self.keys[wanted] // KINDS] = self.amounts[wanted]
        return found

    def largest(self, count: int) -> NDArray[np.uint8]:
        """The kind of largest amount for regions 0 to ``count`` - 1.

        Of equal amounts the lower kind counts; 0 stands for a region that has none.
        """
        regions, kinds = np.divmod(self.keys, KINDS)
        order = np.lexsort((-kinds, self.amounts, regions))  # the last of a region is its largest
        found = np.zeros(count, dtype=np.uint8)
        found[regions[order]] = kinds[order]
        return found
