"""The tile plan: everything covered, overlaps kept, weights that add up to one."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.tiling.windows import (
    MIN_RASTER_SIZE,
    SIZE_STEP,
    Axis,
    Window,
    plan_axis,
    plan_tiles,
)

lengths = st.integers(1, 5000)
tiles_and_overlaps = st.integers(16, 1024).flatmap(
    lambda tile: st.tuples(st.just(tile), st.integers(0, tile - 1))
)


def test_window_arithmetic() -> None:
    window = Window(2, 3, 10, 20)
    assert (window.row_end, window.col_end) == (12, 23)
    assert window.intersect(Window(5, 0, 100, 4)) == Window(5, 3, 7, 1)
    assert window.grow(2) == Window(0, 1, 14, 24)
    assert window.shift(-2, 7) == Window(0, 10, 10, 20)
    assert window.intersect(Window(12, 3, 1, 1)).empty
    assert not window.empty


@settings(max_examples=300, deadline=None)
@given(length=lengths, sizes=tiles_and_overlaps, fixed=st.booleans())
def test_an_axis_is_covered_with_the_overlap_asked_for(
    length: int, sizes: tuple[int, int], fixed: bool
) -> None:
    tile, overlap = sizes
    axis = plan_axis(length, tile, overlap, fixed=fixed)
    starts = np.array(axis.starts)
    assert starts[0] == 0
    assert starts[-1] + axis.size >= length
    if len(axis) > 1:
        steps = np.diff(starts)
        assert (steps > 0).all()
        assert (axis.size - steps >= overlap).all()
        assert starts[-1] + axis.size == length, "tiles lie inside the raster"
    assert axis.size <= tile
    if fixed:
        assert axis.size == tile
    elif len(axis) > 1:
        assert axis.size == tile or axis.size % SIZE_STEP == 0
    else:
        assert axis.size == max(length, min(tile, MIN_RASTER_SIZE))


@settings(max_examples=100, deadline=None)
@given(length=lengths, sizes=tiles_and_overlaps, fixed=st.booleans())
def test_weights_add_up_to_one(length: int, sizes: tuple[int, int], fixed: bool) -> None:
    tile, overlap = sizes
    assume(overlap <= tile * 3 // 4)
    check_weights(plan_axis(length, tile, overlap, fixed=fixed))


@pytest.mark.parametrize(("length", "tile", "overlap"), [(100, 16, 15), (300, 64, 60), (17, 16, 0)])
def test_weights_of_tiles_that_many_share(length: int, tile: int, overlap: int) -> None:
    check_weights(plan_axis(length, tile, overlap, fixed=True))


def check_weights(axis: Axis) -> None:
    end = max(axis.length, axis.starts[-1] + axis.size)
    total = np.zeros(end)
    for index, start in enumerate(axis.starts):
        weights = axis.weights(index)
        assert weights.shape == (axis.size,)
        assert weights.dtype == np.float32
        assert (weights > 0).all()
        total[start : start + axis.size] += weights
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


def test_weights_fall_off_over_the_whole_overlap() -> None:
    axis = plan_axis(300, 100, 40, fixed=True)
    left = axis.weights(0)
    shared = axis.starts[0] + axis.size - axis.starts[1]
    assert shared >= 40
    assert (left[: axis.size - shared] == 1.0).all()
    assert (np.diff(left[axis.size - shared :]) < 0).all()
    assert left[-1] == pytest.approx(0.5 / shared)


@given(length=lengths, sizes=tiles_and_overlaps, start=lengths, count=st.integers(1, 500))
def test_touching_finds_all_tiles_of_a_stretch(
    length: int, sizes: tuple[int, int], start: int, count: int
) -> None:
    axis = plan_axis(length, *sizes, fixed=True)
    expected = [
        i for i, at in enumerate(axis.starts) if at < start + count and at + axis.size > start
    ]
    assert list(axis.touching(start, start + count)) == expected


@settings(deadline=None)
@given(
    rows=lengths,
    cols=lengths,
    sizes=tiles_and_overlaps,
    fixed=st.booleans(),
    panel_cols=st.integers(1, 3000),
    block=st.sampled_from([16, 64, 256]),
)
def test_panels_partition_the_columns(panel_cols: int, block: int, **wanted: Any) -> None:
    tile, overlap = wanted.pop("sizes")
    assume(tile - overlap > 8)
    plan = plan_tiles(
        tile=(tile, tile), overlap=overlap, panel_cols=panel_cols, block=block, **wanted
    )
    assert [panel.col for panel in plan.panels] == [
        sum(before.cols for before in plan.panels[:index]) for index in range(len(plan.panels))
    ]
    assert sum(panel.cols for panel in plan.panels) == plan.cols == wanted["cols"]
    for panel in plan.panels:
        assert panel.col % block == 0
        assert panel.cols <= max(panel_cols, block)
        for index, start in enumerate(plan.horizontal.starts):
            touches = start < panel.col + panel.cols and start + plan.horizontal.size > panel.col
            assert (index in panel.tile_cols) == touches


@pytest.mark.parametrize(
    ("cols", "panel_cols", "widths"),
    [
        (1000, 256, [256, 256, 256, 232]),
        (1300, 1100, [768, 532]),
        (1024, 1024, [1024]),
        (1025, 1024, [768, 257]),
        (300, 100, [256, 44]),
    ],
)
def test_panels_are_few_and_about_equal(cols: int, panel_cols: int, widths: list[int]) -> None:
    plan = plan_tiles(80, cols, (64, 64), 8, fixed=False, panel_cols=panel_cols, block=256)
    assert [panel.cols for panel in plan.panels] == widths


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("panel_cols", [256, 10_000])
def test_counts_and_pixels_are_those_of_the_tiles(fixed: bool, panel_cols: int) -> None:
    plan = plan_tiles(700, 1100, (200, 300), 50, fixed=fixed, panel_cols=panel_cols, block=256)
    tiles = [
        tile
        for panel in plan.panels
        for row in range(len(plan.vertical))
        for tile in plan.row_tiles(panel, row)
    ]
    assert plan.count == len(tiles)
    assert plan.computed_pixels == sum(tile.out.rows * tile.out.cols for tile in tiles)
    assert {(tile.out.rows, tile.out.cols) for tile in tiles} == {
        (plan.vertical.size, plan.horizontal.size)
    }, "all tiles have one size"
    assert (plan.rows, plan.cols) == (700, 1100)


@given(length=lengths, sizes=tiles_and_overlaps)
def test_a_free_size_computes_no_sliver(length: int, sizes: tuple[int, int]) -> None:
    tile, overlap = sizes
    assume(length > tile)
    free = plan_axis(length, tile, overlap, fixed=False)
    assert len(free) == ceil((length - overlap) / (tile - overlap))
    computed = len(free) * free.size
    needed = length + (len(free) - 1) * overlap
    assert computed < needed + len(free) * SIZE_STEP


@pytest.mark.parametrize("overlap", [-1, 64, 100])
def test_an_overlap_that_cannot_work_is_refused(overlap: int) -> None:
    with pytest.raises(SettingError, match="overlap"):
        plan_axis(1000, 64, overlap, fixed=False)
