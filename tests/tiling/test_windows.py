"""The tile plan: everything covered, overlaps kept, weights that add up to one, what is left."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.tiling.blending import Blender
from scasnet_qgis.tiling.windows import (
    MIN_RASTER_SIZE,
    SIZE_STEP,
    STRETCH,
    Axis,
    TilePlan,
    Window,
    plan_axis,
    plan_fitted_tiles,
    plan_tiles,
    recomputed_tiles,
    remaining_rows,
    tile_shape,
    tiles_in_rows,
)
from tests.tiling.plans import pixels, plan_of, plans, tiles_of

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
    steps = np.diff(starts)
    assert starts[0] == 0
    assert starts[-1] + axis.size >= length
    assert axis.largest_overlap == max(axis.size - steps, default=0)
    if len(axis) > 1:
        assert (steps > 0).all()
        assert (axis.size - steps >= overlap).all()
        assert starts[-1] + axis.size == length, "tiles are inside the raster"
    assert axis.size <= tile
    if fixed:
        assert axis.size == tile
    elif len(axis) > 1:
        assert axis.size == tile or axis.size % SIZE_STEP == 0
    else:
        assert axis.size == max(length, min(tile, MIN_RASTER_SIZE))


@given(length=lengths, sizes=tiles_and_overlaps)
def test_a_free_size_computes_no_sliver(length: int, sizes: tuple[int, int]) -> None:
    tile, overlap = sizes
    assume(length > tile)
    free = plan_axis(length, tile, overlap, fixed=False)
    assert len(free) == ceil((length - overlap) / (tile - overlap))
    needed = length + (len(free) - 1) * overlap
    assert len(free) * free.size < needed + len(free) * SIZE_STEP


@pytest.mark.parametrize("overlap", [-1, 64, 100])
def test_an_overlap_that_cannot_work_is_refused(overlap: int) -> None:
    with pytest.raises(SettingError, match="overlap") as caught:
        plan_axis(1000, 64, overlap, fixed=False)
    assert caught.value.message.values == {"overlap": overlap, "tile": 64}


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
    """They add up to 1, and are 1 exactly where a tile is alone."""
    end = axis.starts[-1] + axis.size
    total, covered = np.zeros(max(axis.length, end)), np.zeros(end, dtype=int)
    for start in axis.starts:
        covered[start : start + axis.size] += 1
    for index, start in enumerate(axis.starts):
        weights = axis.weights(index)
        assert weights.shape == (axis.size,)
        assert weights.dtype == np.float32
        assert (weights > 0).all()
        np.testing.assert_array_equal(weights == 1, covered[start : start + axis.size] == 1)
        total[start : start + axis.size] += weights
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_weights_of_all_tiles_of_a_panel_add_up_to_one(plan: TilePlan) -> None:
    """At each pixel of the panel, over the tiles that are computed for it."""
    for panel in plan.panels:
        total = np.zeros((plan.rows + plan.vertical.size, plan.cols + plan.horizontal.size))
        for tile in tiles_of(plan, panel):
            down, across = plan.vertical.weights(tile.row), plan.horizontal.weights(tile.col)
            total[pixels(tile.out)] += down[:, None] * across
        here = total[: plan.rows, panel.col : panel.col + panel.cols]
        np.testing.assert_allclose(here, 1.0, atol=1e-5)


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


@given(length=lengths, sizes=tiles_and_overlaps, start=lengths, count=st.integers(1, 500))
def test_touching_finds_all_tiles_of_a_stretch(
    length: int, sizes: tuple[int, int], start: int, count: int
) -> None:
    axis = plan_axis(length, *sizes, fixed=True)
    expected = [
        index
        for index, at in enumerate(axis.starts)
        if at < start + count and at + axis.size > start
    ]
    assert list(axis.touching(start, start + count)) == expected


@settings(deadline=None)
@given(
    size=st.tuples(lengths, lengths),
    tile=st.tuples(st.integers(16, 600), st.integers(16, 600)),
    share=st.floats(0, 0.9),
    fixed=st.booleans(),
    panel_cols=st.integers(1, 3000),
    block=st.sampled_from([16, 64, 256]),
)
def test_panels_partition_the_columns_of_the_two_axes(
    size: tuple[int, int],
    tile: tuple[int, int],
    share: float,
    fixed: bool,
    panel_cols: int,
    block: int,
) -> None:
    overlap = int((min(tile) - 8) * share)
    plan = plan_tiles(*size, tile, overlap, fixed=fixed, panel_cols=panel_cols, block=block)
    assert plan.vertical == plan_axis(size[0], tile[0], overlap, fixed=fixed)
    assert plan.horizontal == plan_axis(size[1], tile[1], overlap, fixed=fixed)
    ends = np.cumsum([0, *(panel.cols for panel in plan.panels)])
    assert [panel.col for panel in plan.panels] == ends[:-1].tolist()
    assert ends[-1] == plan.cols == size[1]
    for panel in plan.panels:
        assert panel.col % block == 0, "each block of the file is of one panel"
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
    plan = plan_of(80, cols, (64, 64), 8, panel_cols=panel_cols, block=256)
    assert [panel.cols for panel in plan.panels] == widths


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("panel_cols", [256, 10_000])
def test_counts_and_pixels_are_those_of_the_tiles(fixed: bool, panel_cols: int) -> None:
    plan = plan_of(700, 1100, (200, 300), 50, fixed=fixed, panel_cols=panel_cols, block=256)
    windows = [tile.out for panel in plan.panels for tile in tiles_of(plan, panel)]
    assert plan.count == len(windows)
    assert plan.computed_pixels == sum(window.rows * window.cols for window in windows)
    size = plan.vertical.size, plan.horizontal.size
    assert {(window.rows, window.cols) for window in windows} == {size}, "all tiles have one size"
    assert (plan.rows, plan.cols) == (700, 1100)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9000),
    cols=st.integers(1, 9000),
    tile=st.tuples(st.integers(32, 700), st.integers(32, 700)),
    share=st.floats(0, 0.9),
)
def test_fitted_tiles_compute_less_in_no_more_memory(
    rows: int, cols: int, tile: tuple[int, int], share: float
) -> None:
    overlap = int(min(tile) * share)
    assume(min(tile) - overlap > 16)
    shape = tile_shape(rows, cols, tile, overlap)
    assert shape[0] * shape[1] <= tile[0] * tile[1]
    assert min(shape) > overlap
    assert all(most / STRETCH <= side <= most * STRETCH for side, most in zip(shape, tile))
    assert all(isinstance(side, int) for side in shape)
    assert shape == tile or not any(side % SIZE_STEP for side in shape), "networks reduce by it"
    shaped, square = (plan_of(rows, cols, size, overlap) for size in (shape, tile))
    assert shaped.computed_pixels <= square.computed_pixels


@pytest.mark.parametrize(
    ("rows", "cols"), [(2000, 2000), (5000, 5000), (40_000, 40_000), (1000, 90_000), (90_000, 1000)]
)
def test_all_rasters_fill_much_the_same_memory(rows: int, cols: int) -> None:
    plan = plan_of(rows, cols, tile_shape(rows, cols, (512, 512), 32), 32)
    assert plan.vertical.size * plan.horizontal.size > 0.93 * 512 * 512


@pytest.mark.parametrize(("fixed", "sizes"), [(False, (48, 80)), (True, (64, 64))])
def test_tiles_of_a_fixed_size_keep_it(fixed: bool, sizes: tuple[int, int]) -> None:
    plan = plan_fitted_tiles(300, 80, (64, 64), 16, fixed=fixed, panel_cols=10**6, block=256)
    assert (plan.vertical.size, plan.horizontal.size) == sizes


def test_what_fits_stays_square() -> None:
    assert tile_shape(1952, 1952, (512, 512), 32) == (512, 512)


def test_of_shapes_that_compute_the_same_the_squarest_is_taken() -> None:
    """The raster is mirrored up to what a network needs, however large the tile."""
    assert tile_shape(10, 10, (400, 640), 16) == (504, 504)


@pytest.mark.parametrize(("size", "tile"), [((192, 80), (136, 113)), ((88, 176), (124, 125))])
def test_a_side_may_be_half_as_long_again_where_one_tile_then_does(
    size: tuple[int, int], tile: tuple[int, int]
) -> None:
    assert tile_shape(*size, tile, 8) == size


def test_no_side_is_as_short_as_the_overlap() -> None:
    """80 x 120 would hold the same pixels, but tiles could not move on."""
    for rows, cols in [(500, 500), (80, 120), (120, 80)]:
        assert min(tile_shape(rows, cols, (100, 100), 80)) > 80


@st.composite
def interrupted(draw: st.DrawFn) -> tuple[TilePlan, int]:
    """A plan, and after how many rows of tiles it stopped."""
    plan = draw(plans())
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

    def blocks(start: int) -> list[tuple[object, bytes]]:
        found = []
        for remaining in remaining_rows(plan, start):
            blender = Blender(2, plan, remaining.panel)
            for row in remaining.rows:
                for tile in plan.row_tiles(remaining.panel, row):
                    random = np.random.default_rng((row, tile.col))
                    done = blender.add(tile, random.random(shape, dtype=np.float32), None)
                    if done is not None and row >= remaining.first:
                        found.append((done.window, done.scores.tobytes()))
        return found

    whole, rest = blocks(0), blocks(start)
    assert rest == whole[len(whole) - len(rest) :]
    axis = plan.vertical
    for remaining in remaining_rows(plan, start):
        top = axis.starts[remaining.first]
        assert all(axis.starts[row] + axis.size > top for row in remaining.rows)
