"""glibc's malloc_trim: returns freed memory of the heap to the system."""

from __future__ import annotations

import ctypes
import time
from functools import lru_cache
from typing import Callable

TRIM_SECONDS = 2.0  # between two calls; walking through the heap of a large process takes a while


class HeapTrimmer:
    """Calls malloc_trim now and then, where the C library has it.

    Each thread of glibc frees into an arena of its own. Tiles that come and go between rows that
    are kept for longer fragment the arenas, which otherwise shrink at their ends only.
    """

    def __init__(self, seconds: float = TRIM_SECONDS) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def trim_malloc(self) -> bool:
        """Trim, unless it cannot be done or was less than ``seconds`` ago; whether it was done."""
        malloc_trim = _malloc_trim()
        if malloc_trim is None or time.monotonic() - self._last < self._seconds:
            return False
        malloc_trim(0)
        self._last = time.monotonic()
        return True


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None in other C libraries."""
    try:
        function: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    return function
