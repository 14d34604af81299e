"""Blended pieces of a score array give the array back; labels come from scores only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from scasnet_qgis.tiling.blending import Blender, FinishedBlock, UnblendedTiles, highest
from scasnet_qgis.tiling.windows import TilePlan, Window, plan_tiles

GARBAGE = 99.0  # beyond the raster's edge


def blend(
    plan: TilePlan,
    scores: np.ndarray,
    valid: np.ndarray | None = None,
    change: Callable[[np.ndarray, Window], np.ndarray] = lambda piece, _: piece,
) -> tuple[np.ndarray, np.ndarray, list[Window]]:
    """Scores, labels and windows that come out when pieces of ``scores`` are blended."""
    reach = ((0, plan.vertical.size), (0, plan.horizontal.size))
    padded = np.pad(scores, ((0, 0), *reach), constant_values=GARBAGE)
    mask = None if valid is None else np.pad(valid, reach)
    result = np.full((len(scores), plan.rows, plan.cols), np.nan, dtype=np.float32)
    labels = np.full((plan.rows, plan.cols), 255, dtype=np.uint8)
    windows = []
    for panel in plan.panels:
        blender = Blender(len(scores), plan, panel)
        for row in range(len(plan.vertical)):
            for tile in plan.row_tiles(panel, row):
                at = (
                    slice(tile.out.row, tile.out.row_end),
                    slice(tile.out.col, tile.out.col_end),
                )
                piece = change(padded[(slice(None), *at)].copy(), tile.out)
                done = blender.add(tile, piece, None if mask is None else mask[at])
                if done is None:
                    continue
                assert done.row.cols == panel.cols
                part = (
                    slice(done.window.row, done.window.row_end),
                    slice(done.window.col, done.window.col_end),
                )
                result[(slice(None), *part)] = done.scores
                labels[part] = done.labels()
                windows.append(done.window)
    return result, labels, windows


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("panel_cols", [32, 10_000])
@pytest.mark.parametrize("overlap", [0, 1, 13, 50])
@pytest.mark.parametrize(("rows", "cols"), [(200, 300), (30, 333), (65, 1), (1, 1), (64, 64)])
def test_pieces_give_the_array_back(
    rows: int, cols: int, overlap: int, panel_cols: int, fixed: bool
) -> None:
    plan = plan_tiles(rows, cols, (64, 72), overlap, fixed=fixed, panel_cols=panel_cols, block=16)
    scores = np.random.default_rng(1).random((3, rows, cols), dtype=np.float32)
    result, labels, windows = blend(plan, scores)
    np.testing.assert_allclose(result, scores, atol=1e-5)
    assert (labels == scores.argmax(axis=0) + 1).mean() > 0.999
    assert sum(window.rows * window.cols for window in windows) == rows * cols


def test_only_what_overlaps_is_kept() -> None:
    """Not the raster's height, and of its width only the panel and only where tiles overlap."""
    plan = plan_tiles(60_000, 6000, (512, 512), 64, fixed=False, panel_cols=1024, block=256)
    kept = Blender(5, plan, plan.panels[1])._next_rows
    assert kept.shape[1] < 80
    assert kept.shape[2] < 1024 + 2 * 512
    assert kept.dtype == np.float32


def test_tile_without_data_passes_on_what_its_neighbours_gave() -> None:
    plan = plan_tiles(100, 200, (64, 64), 16, fixed=False, panel_cols=10_000, block=16)
    blender = Blender(1, plan, plan.panels[0])
    for row in range(len(plan.vertical)):
        for tile in plan.row_tiles(plan.panels[0], row):
            empty = tile.col == 1
            scores = np.ones((1, tile.out.rows, tile.out.cols), dtype=np.float32)
            done = blender.add(tile, None if empty else scores, None)
            assert done is not None
            assert done.valid.all() != empty
            if not empty and tile.col > 2:
                np.testing.assert_allclose(done.scores, 1.0, atol=1e-5)


def test_no_class_is_invented_between_two_others() -> None:
    """Peers average class indices: 1 and 3 give 2, a class that nobody saw."""
    plan = plan_tiles(64, 100, (64, 64), 28, fixed=True, panel_cols=1000, block=16)

    def tiles_disagree(piece: np.ndarray, out: Window) -> np.ndarray:
        changed = np.zeros_like(piece)
        changed[0 if out.col == 0 else 2] = 1.0
        return changed

    scores, labels, _ = blend(plan, np.zeros((3, 64, 100), dtype=np.float32), None, tiles_disagree)
    assert set(np.unique(labels)) == {1, 3}
    assert (np.diff(labels.astype(int), axis=1) != 0).sum(axis=1).tolist() == [1] * 64
    np.testing.assert_allclose(scores.sum(axis=0), 1.0, atol=1e-6)


def test_ties_go_to_the_first_class() -> None:
    assert rows_of([[0.5], [0.5], [0.0]]).labels().tolist() == [[1]]
    assert rows_of([[0.2], [0.4], [0.4]]).labels().tolist() == [[2]]


def test_labels_reach_the_last_class_of_an_8_bit_map() -> None:
    scores = np.zeros((254, 1), dtype=np.float32)
    scores[253] = 1.0
    labels = rows_of(scores).labels()
    assert labels.tolist() == [[254]]
    assert labels.dtype == np.uint8


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize(("classes", "rows"), [(1, 1), (2, 31), (5, 100), (254, 33)])
def test_the_highest_is_what_argmax_finds(classes: int, rows: int, kind: type) -> None:
    scores = np.random.default_rng(classes).integers(0, 50, (classes, rows, 7)).astype(kind)
    np.testing.assert_array_equal(highest(scores), scores.argmax(axis=0) + 1)


def test_a_block_without_scores_keeps_its_labels() -> None:
    valid = np.array([[True, False, True]])
    scores = np.array([[[0.9, 0.9, 0.2]], [[0.1, 0.1, 0.8]]], dtype=np.float32)
    block = FinishedBlock(Window(0, 0, 1, 3), scores, valid).without_scores()
    assert block.scores is None
    assert block.labels().tolist() == [[1, 0, 2]]
    with pytest.raises(ValueError, match="confidence"):
        block.uncertain(0.5)


def rows_of(scores: object) -> FinishedBlock:
    array = np.asarray(scores, dtype=np.float32)[:, None, :]
    valid = np.ones(array.shape[1:], dtype=bool)
    return FinishedBlock(Window(0, 0, *valid.shape), array, valid)


@pytest.mark.parametrize("panel_cols", [32, 1000])
def test_nodata_stays_nodata_whatever_the_scores(panel_cols: int) -> None:
    plan = plan_tiles(150, 170, (64, 64), 20, fixed=False, panel_cols=panel_cols, block=16)
    valid = np.random.default_rng(2).random((150, 170)) > 0.5
    scores = np.random.default_rng(3).random((4, 150, 170), dtype=np.float32)
    _, labels, _ = blend(plan, scores, valid)
    np.testing.assert_array_equal(labels == 0, ~valid)


CLASSES = 4


def blocks(plan: TilePlan, kind: str) -> Iterator[FinishedBlock]:
    """Of noise, with a tile without data and one with some."""
    random = np.random.default_rng(5)
    scores = random.random((CLASSES, 400, 400), dtype=np.float32)
    holds_data = random.random((400, 400)) > 0.3
    for panel in plan.panels:
        maker = UnblendedTiles(plan, panel) if kind == "labels" else Blender(CLASSES, plan, panel)
        for row in range(len(plan.vertical)):
            for number, tile in enumerate(plan.row_tiles(panel, row)):
                at = np.s_[tile.out.row : tile.out.row_end, tile.out.col : tile.out.col_end]
                values = scores[(slice(None), *at)].copy()
                found = highest(values)[None] if kind == "labels" else values
                block = maker.add(
                    tile, None if number == 1 else found, None if number == 0 else holds_data[at]
                )
                if block is not None:
                    yield block


@pytest.mark.parametrize(
    ("rows", "cols", "tile", "panel_cols"),
    [(64, 64, 64, 1000), (40, 30, 64, 1000), (192, 256, 64, 1000), (128, 384, 96, 128)],
)
def test_the_blocks_are_those_of_scores(rows: int, cols: int, tile: int, panel_cols: int) -> None:
    plan = plan_tiles(rows, cols, (64, tile), 0, fixed=False, panel_cols=panel_cols, block=64)
    assert plan.vertical.largest_overlap == plan.horizontal.largest_overlap == 0
    pairs = list(zip(blocks(plan, "labels"), blocks(plan, "scores"), strict=True))
    for found, wanted in pairs:
        assert (found.window, found.panel, found.row) == (wanted.window, wanted.panel, wanted.row)
        assert found.scores is None
        np.testing.assert_array_equal(found.valid, wanted.valid, strict=True)
        np.testing.assert_array_equal(found.labels(), wanted.labels(), strict=True)
    assert sum(block.window.rows * block.window.cols for block, _ in pairs) == rows * cols


def test_a_tile_beside_the_panel_gives_nothing() -> None:
    plan = plan_tiles(64, 384, (64, 96), 0, fixed=False, panel_cols=128, block=128)
    tile = next(iter(plan.row_tiles(plan.panels[0], 0)))
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
        for row in range(len(plan.vertical)):
            for tile in plan.row_tiles(panel, row):
                number = np.uint8(1 + tile.row * len(plan.horizontal) + tile.col)
                labels = np.full((1, tile.out.rows, tile.out.cols), number)
                block = maker.add(tile, labels, None)
                if block is None:
                    continue
                at = block.window
                assert tile.out.intersect(at) == at
                assert (block.labels() == number).all()
                times[at.row : at.row_end, at.col : at.col_end] += 1
                for axis, index, start, end in (
                    (plan.vertical, tile.row, at.row, at.row_end),
                    (plan.horizontal, tile.col, at.col, at.col_end),
                ):
                    own = np.abs(np.arange(start, end) + 0.5 - axis.starts[index] - axis.size / 2)
                    for other in axis.starts:
                        away = np.abs(np.arange(start, end) + 0.5 - other - axis.size / 2)
                        assert (own <= away + 1).all()
    assert (times == 1).all()
