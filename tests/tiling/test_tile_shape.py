"""Tiles take the shape that fits a raster, and never more pixels than they may."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.windows import (
    SIZE_STEP,
    STRETCH,
    TilePlan,
    plan_fitted_tiles,
    plan_tiles,
    tile_shape,
)


def plan_of(rows: int, cols: int, tile: tuple[int, int], overlap: int) -> TilePlan:
    return plan_tiles(rows, cols, tile, overlap, fixed=False, panel_cols=10**6, block=256)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9000),
    cols=st.integers(1, 9000),
    tile=st.tuples(st.integers(32, 700), st.integers(32, 700)),
    share=st.floats(0, 0.9),
)
def test_less_is_computed_in_no_more_memory(
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
