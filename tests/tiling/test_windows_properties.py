"""The plan in two directions: what must hold of any raster, tile and panel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.tiling.windows import SIZE_STEP, TilePlan, plan_axis, plan_tiles

BLOCK = 16


@st.composite
def plans(draw: st.DrawFn) -> tuple[TilePlan, int, bool]:
    """A plan of a small raster, the overlap asked for, and whether the size is fixed."""
    rows, cols = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    tile = draw(st.integers(16, 70)), draw(st.integers(16, 70))
    overlap, fixed = draw(st.integers(0, min(tile) - 1)), draw(st.booleans())
    panel_cols = draw(st.integers(1, 220))
    plan = plan_tiles(rows, cols, tile, overlap, fixed=fixed, panel_cols=panel_cols, block=BLOCK)
    return plan, overlap, fixed


@settings(max_examples=60, deadline=None)
@given(plans())
def test_weights_of_all_tiles_of_a_panel_add_up_to_one(drawn: tuple[TilePlan, int, bool]) -> None:
    """At each pixel of the panel, over the tiles that are computed for it."""
    plan = drawn[0]
    for panel in plan.panels:
        total = np.zeros((plan.rows + plan.vertical.size, plan.cols + plan.horizontal.size))
        for row in range(len(plan.vertical)):
            for tile in plan.row_tiles(panel, row):
                across = plan.horizontal.weights(tile.col)
                at = np.s_[tile.out.row : tile.out.row_end, tile.out.col : tile.out.col_end]
                total[at] += plan.vertical.weights(row)[:, None] * across
        here = total[: plan.rows, panel.col : panel.col + panel.cols]
        np.testing.assert_allclose(here, 1.0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_neighbours_share_the_overlap_and_blocks_have_one_panel(
    drawn: tuple[TilePlan, int, bool],
) -> None:
    plan, overlap, _ = drawn
    for axis in (plan.vertical, plan.horizontal):
        shared = [axis.size - (b - a) for a, b in zip(axis.starts, axis.starts[1:])]
        assert all(overlap <= pixels < axis.size for pixels in shared)
        assert axis.largest_overlap == max(shared, default=0)
    for block in range(0, plan.cols, BLOCK):
        end = min(block + BLOCK, plan.cols)
        owners = [p for p in plan.panels if p.col < end and p.col + p.cols > block]
        assert len(owners) == 1


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.tuples(st.integers(16, 600), st.integers(16, 600)),
    st.data(),
    st.booleans(),
)
def test_rows_follow_the_tile_s_rows_and_columns_its_columns(
    size: tuple[int, int], tile: tuple[int, int], data: st.DataObject, fixed: bool
) -> None:
    overlap = data.draw(st.integers(0, min(tile) * 3 // 4))
    plan = plan_tiles(*size, tile, overlap, fixed=fixed, panel_cols=512, block=256)
    assert plan.vertical == plan_axis(size[0], tile[0], overlap, fixed=fixed)
    assert plan.horizontal == plan_axis(size[1], tile[1], overlap, fixed=fixed)
    for axis, most in ((plan.vertical, tile[0]), (plan.horizontal, tile[1])):
        assert axis.size == most if fixed else axis.size <= most
        if not fixed and len(axis) > 1:  # no sliver: nothing is computed but what must be
            needed = axis.length + (len(axis) - 1) * overlap
            assert len(axis) * axis.size < needed + len(axis) * SIZE_STEP


@settings(max_examples=60, deadline=None)
@given(plans())
def test_weights_fall_off_towards_both_neighbours_alone(
    drawn: tuple[TilePlan, int, bool],
) -> None:
    """Full where a tile stands alone, and to the raster's own edge."""
    axis = drawn[0].vertical
    covered = np.zeros(axis.starts[-1] + axis.size, dtype=int)
    for start in axis.starts:
        covered[start : start + axis.size] += 1
    for index, start in enumerate(axis.starts):
        weights = axis.weights(index)
        alone = covered[start : start + axis.size] == 1
        assert (weights[alone] == 1.0).all()
        assert (weights[~alone] < 1.0).all()


def test_the_sentence_about_an_overlap_names_both_numbers() -> None:
    with pytest.raises(SettingError) as caught:
        plan_axis(1000, 64, 65, fixed=False)
    assert list(caught.value.message.values.values()) == [65, 64]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.integers(16, 300), st.data(), st.booleans())
def test_where_two_tiles_meet_one_goes_as_the_other_comes(
    length: int, tile: int, data: st.DataObject, fixed: bool
) -> None:
    """Along a straight line over all they share."""
    axis = plan_axis(length, tile, data.draw(st.integers(0, tile // 2)), fixed=fixed)
    assume(2 * axis.largest_overlap <= axis.size)
    for index, (before, after) in enumerate(zip(axis.starts, axis.starts[1:])):
        shared = before + axis.size - after
        rising = (np.arange(shared) + 0.5) / max(shared, 1)
        left = axis.weights(index)[axis.size - shared :]
        right = axis.weights(index + 1)[:shared]
        np.testing.assert_allclose(right, rising, atol=1e-6)
        np.testing.assert_allclose(left, rising[::-1], atol=1e-6)
