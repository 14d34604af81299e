"""Blended tiles are their weighted sum; labels come from scores only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.blending import Blender, FinishedBlock, UnblendedTiles, highest
from scasnet_qgis.tiling.windows import Tile, TilePlan, Window, plan_tiles
from tests.tiling.plans import pixels, plan_of, plans, tiles_of

CLASSES = 3
GARBAGE = 99.0  # beyond the raster's edge


def blend(
    plan: TilePlan, scores_of: Callable[[Tile], np.ndarray], valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels over the raster that come out for these scores of tiles."""
    reach = ((0, plan.vertical.size), (0, plan.horizontal.size))
    mask = None if valid is None else np.pad(valid, reach)
    scores = np.full((CLASSES, plan.rows, plan.cols), np.nan, dtype=np.float32)
    labels = np.full((plan.rows, plan.cols), 255, dtype=np.uint8)
    for panel in plan.panels:
        blender = Blender(CLASSES, plan, panel)
        for tile in tiles_of(plan, panel):
            done = blender.add(
                tile, scores_of(tile), None if mask is None else mask[pixels(tile.out)]
            )
            if done is not None:
                assert done.row.cols == panel.cols
                at = pixels(done.window)
                assert (labels[at] == 255).all(), "each pixel comes once"
                scores[(slice(None), *at)], labels[at] = done.scores, done.labels()
    return scores, labels


def pieces_of(scores: np.ndarray, plan: TilePlan) -> Callable[[Tile], np.ndarray]:
    reach = ((0, 0), (0, plan.vertical.size), (0, plan.horizontal.size))
    padded = np.pad(scores, reach, constant_values=GARBAGE)
    return lambda tile: padded[(slice(None), *pixels(tile.out))].copy()


def weighted_sum(plan: TilePlan, scores_of: Callable[[Tile], np.ndarray]) -> np.ndarray:
    """Over the whole raster at once."""
    room = (plan.rows + plan.vertical.size, plan.cols + plan.horizontal.size)
    total = np.zeros((CLASSES, *room))
    for row, top in enumerate(plan.vertical.starts):
        for col, left in enumerate(plan.horizontal.starts):
            weights = plan.vertical.weights(row)[:, None] * plan.horizontal.weights(col)
            tile = Tile(row, col, Window(top, left, plan.vertical.size, plan.horizontal.size))
            total[(slice(None), *pixels(tile.out))] += scores_of(tile) * weights
    return total[:, : plan.rows, : plan.cols]


# One pixel of the middle tile is its own alone.
NARROW = plan_of(35, 35, (17, 17), 8, fixed=True, panel_cols=64)


@settings(max_examples=40, deadline=None)
@given(plans(), st.integers(0, 1000))
@example(NARROW, 0)
def test_it_is_the_weighted_sum_and_each_pixel_comes_once(plan: TilePlan, seed: int) -> None:
    def scores_of(tile: Tile) -> np.ndarray:
        """Scores of a tile that agree with those of no other."""
        random = np.random.default_rng((seed, tile.row, tile.col))
        return random.random((CLASSES, tile.out.rows, tile.out.cols), dtype=np.float32)

    scores, _ = blend(plan, scores_of)
    np.testing.assert_allclose(scores, weighted_sum(plan, scores_of), atol=1e-5)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("panel_cols", [32, 10_000])
@pytest.mark.parametrize("overlap", [0, 1, 50])
@pytest.mark.parametrize(("rows", "cols"), [(200, 300), (30, 333), (65, 1), (1, 1), (64, 64)])
def test_pieces_give_the_array_back(
    rows: int, cols: int, overlap: int, panel_cols: int, fixed: bool
) -> None:
    plan = plan_of(rows, cols, (64, 72), overlap, fixed=fixed, panel_cols=panel_cols)
    scores = np.random.default_rng(1).random((CLASSES, rows, cols), dtype=np.float32)
    result, labels = blend(plan, pieces_of(scores, plan))
    np.testing.assert_allclose(result, scores, atol=1e-5)
    assert (labels == scores.argmax(axis=0) + 1).mean() > 0.999


def test_only_what_overlaps_is_kept() -> None:
    """Not the raster's height, and of its width only the panel and only where tiles overlap."""
    plan = plan_of(60_000, 6000, (512, 512), 64, panel_cols=1024, block=256)
    kept = Blender(5, plan, plan.panels[1])._next_rows
    assert kept.shape[1] < 80
    assert kept.shape[2] < 1024 + 2 * 512
    assert kept.dtype == np.float32


def test_tile_without_data_passes_on_what_its_neighbours_gave() -> None:
    plan = plan_of(100, 200, (64, 64), 16)
    blender = Blender(1, plan, plan.panels[0])
    for tile in tiles_of(plan, plan.panels[0]):
        empty = tile.col == 1
        scores = np.ones((1, tile.out.rows, tile.out.cols), dtype=np.float32)
        done = blender.add(tile, None if empty else scores, None)
        assert done is not None
        assert (done.scores.dtype, done.valid.dtype) == (np.float32, np.bool_)
        assert done.valid.all() != empty
        if empty:
            assert not done.scores.any()
        elif tile.col > 2:
            np.testing.assert_allclose(done.scores, 1.0, atol=1e-5)


def test_no_class_is_invented_between_two_others() -> None:
    """Peers average class indices: 1 and 3 give 2, a class that nobody saw."""
    plan = plan_of(64, 100, (64, 64), 28, fixed=True)

    def tiles_disagree(tile: Tile) -> np.ndarray:
        scores = np.zeros((CLASSES, 64, 64), dtype=np.float32)
        scores[0 if tile.col == 0 else 2] = 1.0
        return scores

    scores, labels = blend(plan, tiles_disagree)
    assert set(np.unique(labels)) == {1, 3}
    assert (np.diff(labels.astype(int), axis=1) != 0).sum(axis=1).tolist() == [1] * 64
    np.testing.assert_allclose(scores.sum(axis=0), 1.0, atol=1e-6)


@pytest.mark.parametrize("panel_cols", [32, 1000])
def test_nodata_stays_nodata_whatever_the_scores(panel_cols: int) -> None:
    plan = plan_of(150, 170, (64, 64), 20, panel_cols=panel_cols)
    valid = np.random.default_rng(2).random((150, 170)) > 0.5
    scores = np.random.default_rng(3).random((CLASSES, 150, 170), dtype=np.float32)
    _, labels = blend(plan, pieces_of(scores, plan), valid)
    np.testing.assert_array_equal(labels == 0, ~valid)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12) | st.just(254),
    st.integers(1, 70),
    st.integers(1, 9),
    st.integers(0, 1000),
    st.sampled_from([np.float32, np.uint8]),
)
def test_the_highest_is_numpy_s_argmax(
    classes: int, rows: int, cols: int, seed: int, kind: type
) -> None:
    """Few different scores, so that many are equal."""
    scores = np.random.default_rng(seed).integers(0, 3, (classes, rows, cols)).astype(kind)
    found = highest(scores)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, scores.argmax(axis=0) + 1)


def test_a_block_without_scores_keeps_its_labels() -> None:
    valid = np.array([[True, False, True]])
    scores = np.array([[[0.9, 0.9, 0.2]], [[0.1, 0.1, 0.8]]], dtype=np.float32)
    block = FinishedBlock(Window(0, 0, 1, 3), scores, valid).without_scores()
    assert block.scores is None
    assert block.labels().tolist() == [[1, 0, 2]]
    with pytest.raises(ValueError, match="confidence"):
        block.uncertain(0.5)


def test_a_block_without_scores_and_labels_is_nodata() -> None:
    block = FinishedBlock(Window(4, 5, 2, 3), None, np.ones((2, 3), dtype=bool))
    assert block.labels().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert block.labels().dtype == np.uint8
    assert block.row == block.window


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.7])
def test_uncertain_is_what_holds_data_and_is_below(confidence: float) -> None:
    scores = np.float32([[[0.5, 0.7, 0.2]], [[0.5, 0.3, 0.8]]])
    block = FinishedBlock(Window(0, 0, 1, 3), scores, np.array([[True, True, False]]))
    assert block.uncertain(confidence).tolist() == [[confidence > 0.5, False, False]]


def blocks(plan: TilePlan, kind: str) -> Iterator[FinishedBlock]:
    """Of noise, with a tile without data and one with some."""
    random = np.random.default_rng(5)
    scores = random.random((CLASSES, 400, 400), dtype=np.float32)
    holds_data = random.random((400, 400)) > 0.3
    for panel in plan.panels:
        maker = UnblendedTiles(plan, panel) if kind == "labels" else Blender(CLASSES, plan, panel)
        for tile in tiles_of(plan, panel):
            number = tile.col - panel.tile_cols[0]
            values = scores[(slice(None), *pixels(tile.out))].copy()
            found = highest(values)[None] if kind == "labels" else values
            valid = None if number == 0 else holds_data[pixels(tile.out)]
            block = maker.add(tile, None if number == 1 else found, valid)
            if block is not None:
                yield block


@pytest.mark.parametrize(
    ("rows", "cols", "tile", "panel_cols"),
    [(64, 64, 64, 1000), (40, 30, 64, 1000), (192, 256, 64, 1000), (128, 384, 96, 128)],
)
def test_the_blocks_are_those_of_scores(rows: int, cols: int, tile: int, panel_cols: int) -> None:
    plan = plan_of(rows, cols, (64, tile), 0, panel_cols=panel_cols, block=64)
    assert plan.vertical.largest_overlap == plan.horizontal.largest_overlap == 0
    pairs = list(zip(blocks(plan, "labels"), blocks(plan, "scores"), strict=True))
    for found, wanted in pairs:
        assert (found.window, found.panel, found.row) == (wanted.window, wanted.panel, wanted.row)
        assert found.scores is None
        np.testing.assert_array_equal(found.valid, wanted.valid, strict=True)
        np.testing.assert_array_equal(found.labels(), wanted.labels(), strict=True)
    assert sum(block.window.rows * block.window.cols for block, _ in pairs) == rows * cols


def test_a_tile_beside_the_panel_gives_nothing() -> None:
    plan = plan_of(64, 384, (64, 96), 0, panel_cols=128, block=128)
    tile = next(tiles_of(plan, plan.panels[0]))
    assert UnblendedTiles(plan, plan.panels[2]).add(tile, None, None) is None


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("rows", "cols", "panel_cols"), [(131, 387, 1000), (70, 201, 96)])
def test_pixels_that_tiles_share_go_to_the_nearer_one(
    rows: int, cols: int, panel_cols: int, fixed: bool
) -> None:
    plan = plan_tiles(rows, cols, (64, 64), 0, fixed=fixed, panel_cols=panel_cols, block=32)
    assert plan.vertical.largest_overlap > 0 < plan.horizontal.largest_overlap
    times = np.zeros((rows, cols), dtype=int)
    for panel in plan.panels:
        maker = UnblendedTiles(plan, panel)
        for tile in tiles_of(plan, panel):
            number = np.uint8(1 + tile.row * len(plan.horizontal) + tile.col)
            block = maker.add(tile, np.full((1, tile.out.rows, tile.out.cols), number), None)
            if block is None:
                continue
            at = block.window
            assert tile.out.intersect(at) == at
            assert (block.labels() == number).all()
            times[pixels(at)] += 1
            for axis, index, start, end in (
                (plan.vertical, tile.row, at.row, at.row_end),
                (plan.horizontal, tile.col, at.col, at.col_end),
            ):
                centres = np.arange(start, end) + 0.5 - axis.size / 2
                own = np.abs(centres - axis.starts[index])
                for other in axis.starts:
                    assert (own <= np.abs(centres - other) + 1).all()
    assert (times == 1).all()
