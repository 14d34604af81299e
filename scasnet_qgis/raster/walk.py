"""Windows of one size that cover an area, aligned to the raster's corner."""

from __future__ import annotations

from collections.abc import Iterator

from scasnet_qgis.core.windows import Window

STEP = 1024  # rows and columns; a multiple of what blocks of files usually have


def windows_over(area: Window, step: int = STEP) -> Iterator[Window]:
    """The parts of ``area`` between multiples of ``step``, row by row."""
    for row in range(area.row // step * step, area.row_end, step):
        for col in range(area.col // step * step, area.col_end, step):
            yield Window(row, col, step, step).intersect(area)


def count_over(area: Window, step: int = STEP) -> int:
    """How many windows there are."""
    if area.empty:
        return 0
    rows = (area.row_end - 1) // step - area.row // step + 1
    return rows * ((area.col_end - 1) // step - area.col // step + 1)
