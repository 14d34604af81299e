"""Any plan, any scores: what is blended is the weighted sum, computed the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.blending import Blender, FinishedBlock, highest
from scasnet_qgis.tiling.windows import TilePlan, Window, plan_tiles

CLASSES = 3


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    tile = draw(st.integers(16, 50)), draw(st.integers(16, 50))
    return plan_tiles(
        draw(st.integers(1, 120)),
        draw(st.integers(1, 120)),
        tile,
        draw(st.integers(0, min(tile) - 1)),
        fixed=draw(st.booleans()),
        panel_cols=draw(st.integers(1, 140)),
        block=16,
    )


def tile_scores(plan: TilePlan, seed: int, row: int, col: int) -> np.ndarray:
    """Scores of a tile that agree with those of no other."""
    random = np.random.default_rng((seed, row, col))
    shape = (CLASSES, plan.vertical.size, plan.horizontal.size)
    return random.random(shape, dtype=np.float32)


def blended(plan: TilePlan, scores) -> tuple[np.ndarray, int]:
    """Scores over the raster, and how many pixels came out; NaN where none did."""
    result = np.full((CLASSES, plan.rows, plan.cols), np.nan, dtype=np.float32)
    pixels = 0
    for panel in plan.panels:
        blender = Blender(CLASSES, plan, panel)
        for row in range(len(plan.vertical)):
            for tile in plan.row_tiles(panel, row):
                done = blender.add(tile, scores(row, tile.col), None)
                if done is not None:
                    at = done.window
                    result[:, at.row : at.row_end, at.col : at.col_end] = done.scores
                    pixels += at.rows * at.cols
                    assert done.valid.all()
    return result, pixels


def summed(plan: TilePlan, scores) -> np.ndarray:
    """The weighted sum over the whole raster at once."""
    room = (plan.rows + plan.vertical.size, plan.cols + plan.horizontal.size)
    total = np.zeros((CLASSES, *room))
    for row, top in enumerate(plan.vertical.starts):
        for col, left in enumerate(plan.horizontal.starts):
            weights = plan.vertical.weights(row)[:, None] * plan.horizontal.weights(col)
            values = scores(row, col)
            total[:, top : top + values.shape[1], left : left + values.shape[2]] += values * weights
    return total[:, : plan.rows, : plan.cols]


# One pixel of the middle tile is its own alone.
NARROW = plan_tiles(35, 35, (17, 17), 8, fixed=True, panel_cols=64, block=16)


@settings(max_examples=40, deadline=None)
@given(plans(), st.integers(0, 1000))
@example(NARROW, 0)
def test_it_is_the_weighted_sum_and_each_pixel_comes_once(plan: TilePlan, seed: int) -> None:
    def scores(row: int, col: int) -> np.ndarray:
        return tile_scores(plan, seed, row, col)

    result, pixels = blended(plan, scores)
    assert pixels == plan.rows * plan.cols
    np.testing.assert_allclose(result, summed(plan, scores), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(plans(), st.lists(st.floats(0, 1, width=32), min_size=CLASSES, max_size=CLASSES))
def test_constant_scores_stay_constant(plan: TilePlan, values: list[float]) -> None:
    constant = np.array(values, dtype=np.float32)[:, None, None]
    shape = (CLASSES, plan.vertical.size, plan.horizontal.size)
    result, _ = blended(plan, lambda _row, _col: np.broadcast_to(constant, shape).copy())
    np.testing.assert_allclose(result, np.broadcast_to(constant, result.shape), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 70), st.integers(1, 9), st.integers(0, 1000))
def test_the_highest_is_numpy_s_argmax(classes: int, rows: int, cols: int, seed: int) -> None:
    """Few different scores, so that many are equal."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 3, (classes, rows, cols)).astype(np.float32)
    np.testing.assert_array_equal(highest(scores), scores.argmax(axis=0) + 1)


def test_a_block_without_scores_and_labels_is_nodata() -> None:
    valid = np.ones((2, 3), dtype=bool)
    block = FinishedBlock(Window(4, 5, 2, 3), None, valid)
    assert block.labels().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert block.labels().dtype == np.uint8
    assert block.row == block.window


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.7])
def test_uncertain_is_what_holds_data_and_lies_below(confidence: float) -> None:
    scores = np.float32([[[0.5, 0.7, 0.2]], [[0.5, 0.3, 0.8]]])
    block = FinishedBlock(Window(0, 0, 1, 3), scores, np.array([[True, True, False]]))
    expected = [[confidence > 0.5, False, False]]
    assert block.uncertain(confidence).tolist() == expected


def test_a_tile_without_data_gives_scores_of_the_same_type() -> None:
    """Single precision, as all that comes after reckons with their size."""
    plan = plan_tiles(30, 60, (32, 32), 8, fixed=False, panel_cols=64, block=16)
    blender = Blender(CLASSES, plan, plan.panels[0])
    for tile in plan.row_tiles(plan.panels[0], 0):
        done = blender.add(tile, None, None)
        assert done is not None
        assert done.scores.dtype == np.float32
        assert not done.scores.any()
        assert done.valid.dtype == np.bool_
        assert not done.valid.any()
