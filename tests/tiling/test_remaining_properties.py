"""What is left of a plan, wherever it was interrupted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.blending import Blender
from scasnet_qgis.tiling.windows import (
    TilePlan,
    plan_tiles,
    recomputed_tiles,
    remaining_rows,
    tiles_in_rows,
)


@st.composite
def interrupted(draw: st.DrawFn) -> tuple[TilePlan, int]:
    """A plan, and after how many rows of tiles it stopped."""
    tile = draw(st.integers(16, 40)), draw(st.integers(16, 40))
    plan = plan_tiles(
        draw(st.integers(1, 150)),
        draw(st.integers(1, 120)),
        tile,
        draw(st.integers(0, min(tile) - 1)),
        fixed=draw(st.booleans()),
        panel_cols=draw(st.integers(1, 140)),
        block=16,
    )
    return plan, draw(st.integers(0, len(plan.vertical) * len(plan.panels)))


@settings(max_examples=100, deadline=None)
@given(interrupted())
def test_rows_are_done_once_and_in_order(drawn: tuple[TilePlan, int]) -> None:
    plan, start = drawn
    every = [(panel, row) for panel in plan.panels for row in range(len(plan.vertical))]
    remaining = list(remaining_rows(plan, start))
    left = [(rows.panel, row) for rows in remaining for row in rows.rows if row >= rows.first]
    assert left == every[start:]
    widths = [len(panel.tile_cols) for panel, _ in every]
    assert tiles_in_rows(plan, start) == sum(widths[:start])
    again = [len(s.panel.tile_cols) for s in remaining for row in s.rows if row < s.first]
    assert recomputed_tiles(plan, start) == sum(again)
    assert tiles_in_rows(plan, len(every)) == plan.count


@settings(max_examples=40, deadline=None)
@given(interrupted())
def test_what_follows_is_bit_by_bit_as_without_the_interruption(
    drawn: tuple[TilePlan, int],
) -> None:
    """And no row of tiles is computed again that nothing needs."""
    plan, start = drawn
    shape = (2, plan.vertical.size, plan.horizontal.size)

    def blocks(remaining) -> list[tuple[object, bytes]]:
        found = []
        for panel_rows in remaining:
            blender = Blender(2, plan, panel_rows.panel)
            for row in panel_rows.rows:
                for tile in plan.row_tiles(panel_rows.panel, row):
                    random = np.random.default_rng((row, tile.col))
                    done = blender.add(tile, random.random(shape, dtype=np.float32), None)
                    if done is not None and row >= panel_rows.first:
                        found.append((done.window, done.scores.tobytes()))
        return found

    whole, rest = blocks(remaining_rows(plan, 0)), blocks(remaining_rows(plan, start))
    assert rest == whole[len(whole) - len(rest) :]
    axis = plan.vertical
    for panel_rows in remaining_rows(plan, start):
        top = axis.starts[panel_rows.first]
        assert all(axis.starts[row] + axis.size > top for row in panel_rows.rows)
