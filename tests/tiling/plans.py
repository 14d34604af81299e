"""Plans of tiles for the tests, and how to go over them."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from scasnet_qgis.tiling.windows import Panel, Tile, TilePlan, Window, plan_tiles

BLOCK = 16


def plan_of(
    rows: int,
    cols: int,
    tile: tuple[int, int],
    overlap: int,
    *,
    fixed: bool = False,
    panel_cols: int = 10**6,
    block: int = BLOCK,
) -> TilePlan:
    """A plan of one panel unless told otherwise."""
    return plan_tiles(rows, cols, tile, overlap, fixed=fixed, panel_cols=panel_cols, block=block)


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    """Plans of small rasters."""
    tile = draw(st.integers(16, 60)), draw(st.integers(16, 60))
    return plan_of(
        draw(st.integers(1, 150)),
        draw(st.integers(1, 150)),
        tile,
        draw(st.integers(0, min(tile) - 1)),
        fixed=draw(st.booleans()),
        panel_cols=draw(st.integers(1, 180)),
    )


def tiles_of(plan: TilePlan, panel: Panel) -> Iterator[Tile]:
    for row in range(len(plan.vertical)):
        yield from plan.row_tiles(panel, row)


def pixels(window: Window) -> tuple[slice, slice]:
    """Where a window is in an array [rows, cols] of the whole raster."""
    return slice(window.row, window.row_end), slice(window.col, window.col_end)
