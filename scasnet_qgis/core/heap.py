"""Freed memory that the C library holds back, given to the system again."""

from __future__ import annotations

import ctypes
import time
from functools import lru_cache
from typing import Callable

SECONDS = 2.0  # between two times; to look through the memory of a large program takes a while


class Heap:
    """Lets go of free memory now and then, where the C library can be told to.

    Each thread of glibc frees into a pool of its own. Between tiles that come and go and rows that
    are kept for longer these pools get gaps, and otherwise shrink at their ends only.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def give_back(self) -> bool:
        """Whether it was done; not where it cannot be, and not again before ``seconds`` are up."""
        trim = _trim()
        if trim is None or time.monotonic() - self._last < self._seconds:
            return False
        trim(0)
        self._last = time.monotonic()
        return True


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None in other C libraries."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    return found
