"""Scores on the model's grid become the map's blocks: what is in them, and that none is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.resampling import AxisResampling, nearest_two
from scasnet_qgis.tiling.score_resampling import PIECE_BYTES, MapPlan, ScoreResampler
from scasnet_qgis.tiling.windows import Panel, TilePlan, Window
from tests.tiling.plans import BLOCK, pixels
from tests.tiling.plans import plan_of as tile_plan

CLASSES = 4


def plan_of(
    down: AxisResampling, across: AxisResampling, tile: int, width: int, strip: int
) -> MapPlan:
    rows, cols = down.target_count, across.target_count
    plan = tile_plan(rows, cols, (tile, tile), tile // 4)
    own = tuple((col, min(width, across.count - col)) for col in range(0, across.count, width))
    panels = []
    for col, count in own:
        start, end = across.needed(col, count)
        panels.append(Panel(start, end - start, plan.horizontal.touching(start, end)))
    tiles = TilePlan(plan.vertical, plan.horizontal, tuple(panels))
    return MapPlan(down, across, tiles, own, strip, BLOCK)


def blocks_of(
    how: MapPlan, scores: np.ndarray, holds: np.ndarray, start: int = 0
) -> Iterator[FinishedBlock]:
    """As the blender gives them: each row of tiles in blocks of its panel, from left to right."""
    starts = [*how.plan.vertical.starts, how.plan.rows]
    edges = [*how.plan.horizontal.starts, how.plan.cols]
    for index, panel in enumerate(how.plan.panels):
        for number, (top, end) in enumerate(zip(starts, starts[1:])):
            if index * (len(starts) - 1) + number < start:
                continue
            for left, right in zip(edges, edges[1:]):
                first, last = max(left, panel.col), min(right, panel.col + panel.cols)
                if first < last:
                    window = Window(top, first, end - top, last - first)
                    at = pixels(window)
                    piece = scores[(slice(None), *at)]
                    yield FinishedBlock(window, piece, holds[at], (panel.col, panel.cols))


def whole(
    down: AxisResampling, across: AxisResampling, scores: np.ndarray, holds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of all pixels, by the formula."""
    sums, total = 0.0, 0.0
    rows = nearest_two(down.start, down.count, down.source, down.target)
    cols = nearest_two(across.start, across.count, across.source, across.target)
    for row, high in ((rows[0], 1 - rows[2]), (rows[1], rows[2])):
        for col, wide in ((cols[0], 1 - cols[2]), (cols[1], cols[2])):
            at = np.ix_(row - down.target_start, col - across.target_start)
            weight = high[:, None].astype(float) * wide * holds[at]
            sums = sums + weight * scores[:, at[0], at[1]]
            total = total + weight
    with np.errstate(invalid="ignore"):
        means = sums / total
    return means, np.where(total > 0, means.argmax(axis=0) + 1, 0)


def gathered(
    how: MapPlan,
    scores: np.ndarray,
    holds: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    with_scores: bool,
    done: int = 0,
) -> tuple[np.ndarray, np.ndarray, list[FinishedBlock]]:
    """Labels, scores and blocks of what comes out after ``done`` strips."""
    shape = (how.down.count, how.across.count)
    labels = np.full(shape, 255, dtype=np.uint8)
    found = np.full((CLASSES, *shape), np.nan, dtype=np.float32)

    def mask(window: Window) -> np.ndarray | None:
        if valid is None:
            return None
        return valid[pixels(window)]

    resampler = ScoreResampler(CLASSES, how, mask, with_scores=with_scores, done=done)
    blocks = []
    for block in blocks_of(how, scores, holds, how.first_needed(done)):
        for finished in resampler.add(block):
            at = pixels(finished.window)
            assert (labels[at] == 255).all(), "each pixel comes once"
            labels[at] = finished.labels()
            assert (finished.valid.shape, finished.valid.dtype) == (labels[at].shape, bool)
            assert finished.labels().dtype == np.uint8
            if with_scores:
                assert finished.scores is not None
                assert finished.scores.dtype == np.float32
                found[(slice(None), *at)] = finished.scores
            blocks.append(finished)
    return labels, found, blocks


def field(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Scores that add up to 1, in patches."""
    random = np.random.default_rng(seed)
    coarse = random.random((CLASSES, -(-rows // 3), -(-cols // 3))) ** 6 + 1e-3
    scores = coarse.repeat(3, axis=1).repeat(3, axis=2)[:, :rows, :cols]
    scores = scores + 0.01 * random.random(scores.shape)
    return (scores / scores.sum(axis=0)).astype(np.float32)


links = st.builds(
    lambda own, seen, start, share: AxisResampling(
        own, seen, min(start, own - 1), max(int((own - min(start, own - 1)) * share), 1)
    ),
    st.integers(1, 90),
    st.integers(1, 60),
    st.integers(0, 30),
    st.floats(0.1, 1.0),
)


@settings(max_examples=60, deadline=None)
@given(links, links, st.integers(8, 40), st.sampled_from([16, 32, 96]), st.sampled_from([4, 16]))
def test_blocks_are_those_of_the_whole(
    down: AxisResampling, across: AxisResampling, tile: int, width: int, strip: int
) -> None:
    """Whatever the tiles, the panels and the strips."""
    width = -(-max(width, int(2 * across.factor)) // BLOCK) * BLOCK
    how = plan_of(down, across, tile, width, strip)
    scores = field(down.target_count, across.target_count)
    holds = np.ones(scores.shape[1:], dtype=bool)
    means, labels = whole(down, across, scores, holds)
    found, _, blocks = gathered(how, scores, holds, with_scores=False)
    sure = np.diff(np.sort(means, axis=0)[-2:], axis=0)[0] > 1e-5
    np.testing.assert_array_equal(found[sure], labels[sure])
    assert sum(block.window.rows * block.window.cols for block in blocks) == found.size
    again, given_out, _ = gathered(how, scores, holds, with_scores=True)
    np.testing.assert_allclose(given_out, means, atol=1e-5)
    np.testing.assert_array_equal(again[sure], labels[sure])
    whole_plan = plan_of(down, across, 10_000, 10_000 // BLOCK * BLOCK, strip)
    np.testing.assert_array_equal(gathered(whole_plan, scores, holds, with_scores=False)[0], found)


@settings(max_examples=40, deadline=None)
@given(links, links, st.integers(0, 99))
def test_neighbours_without_data_do_not_count(
    down: AxisResampling, across: AxisResampling, seed: int
) -> None:
    scores = field(down.target_count, across.target_count)
    holds = np.random.default_rng(seed).random(scores.shape[1:]) > 0.3
    scores[:, ~holds] = 1e3 * np.eye(CLASSES, dtype=np.float32)[:, :1]  # what a fill may give
    how = plan_of(down, across, 16, 1600, 16)
    means, labels = whole(down, across, scores, holds)
    valid = labels > 0
    found, given_out, _ = gathered(how, scores, holds, valid, with_scores=True)
    np.testing.assert_allclose(given_out[:, valid], means[:, valid], atol=1e-4)
    np.testing.assert_array_equal(found == 0, ~valid)
    assert np.isfinite(given_out).all()
    plain, _, _ = gathered(how, scores, holds, valid, with_scores=False)
    gap = np.diff(np.sort(np.nan_to_num(means), axis=0)[-2:], axis=0)[0] > 1e-4
    np.testing.assert_array_equal(plain[gap], labels[gap])


def test_a_hole_changes_nothing_beside_it() -> None:
    """Not even by a rounding: what is in a block depends on the tiles and the panels."""
    down, across = AxisResampling(60, 20, 0, 60), AxisResampling(64, 20, 0, 64)
    how = plan_of(down, across, 16, 64, 16)
    scores, holds = field(20, 20), np.ones((20, 20), bool)
    _, expected, _ = gathered(how, scores, holds, with_scores=True)
    holds[:3, :3] = False
    _, found, _ = gathered(how, scores, holds, with_scores=True)
    beside = (down.neighbours(0, 60)[0] >= 3)[:, None] | (across.neighbours(0, 64)[0] >= 3)
    np.testing.assert_array_equal(found[:, beside], expected[:, beside])
    assert (found[:, ~beside] != expected[:, ~beside]).any()


@settings(max_examples=40, deadline=None)
@given(links, links, st.integers(8, 30), st.data())
def test_what_is_done_is_left_out_and_the_rest_is_the_same(
    down: AxisResampling, across: AxisResampling, tile: int, data: st.DataObject
) -> None:
    width = -(-max(32, int(2 * across.factor)) // BLOCK) * BLOCK
    how = plan_of(down, across, tile, width, 16)
    done = data.draw(st.integers(0, how.strips * len(how.panels)))
    scores = field(down.target_count, across.target_count)
    holds = np.ones(scores.shape[1:], dtype=bool)
    before = gathered(how, scores, holds, with_scores=True)
    after = gathered(how, scores, holds, with_scores=True, done=done)
    there = [(block.window, block.scores.tobytes()) for block in before[2]]
    rest = [(block.window, block.scores.tobytes()) for block in after[2]]
    assert rest == there[len(there) - len(rest) :]
    rows = {(block.panel, block.window.row) for block in before[2]}
    left = {(block.panel, block.window.row) for block in after[2]}
    assert len(rows) - len(left) == done


@settings(max_examples=40, deadline=None)
@given(links, links, st.integers(8, 30), st.data())
def test_no_row_of_tiles_is_given_out_again_without_need(
    down: AxisResampling, across: AxisResampling, tile: int, data: st.DataObject
) -> None:
    """Each costs a row of the network's work."""
    width = -(-max(32, int(2 * across.factor)) // BLOCK) * BLOCK
    how = plan_of(down, across, tile, width, 16)
    starts = how.plan.vertical.starts
    panels = len(how.panels)
    assert how.first_needed(how.strips * panels) == panels * len(starts)
    done = data.draw(st.integers(0, how.strips * panels - 1))
    panel, row = divmod(how.first_needed(done), len(starts))
    assert panel == done // how.strips
    top, _ = down.needed(done % how.strips * how.strip_rows, 1)
    assert starts[row] <= top
    assert row + 1 == len(starts) or starts[row + 1] > top


@pytest.mark.parametrize(("rows", "width"), [(2048, 128), (3000, 80), (17_000, BLOCK)])
def test_pieces_are_as_wide_as_their_scores_may_take(rows: int, width: int) -> None:
    """But one block at least."""
    down, across = AxisResampling(rows, 40, 0, rows), AxisResampling(256, 30, 0, 256)
    how = plan_of(down, across, 16, 256, rows)
    scores = field(40, 30)
    _, _, blocks = gathered(how, scores, np.ones((40, 30), bool), with_scores=False)
    assert {block.window.cols for block in blocks[:-1]} == {width}
    assert {(block.row.col, block.row.cols) for block in blocks} == {(0, 256)}
    assert width == BLOCK or 4 * CLASSES * rows * width <= PIECE_BYTES


@pytest.mark.parametrize("with_scores", [True, False])
def test_blocks_are_in_the_order_that_writers_want(with_scores: bool) -> None:
    down, across = AxisResampling(200, 61, 7, 180), AxisResampling(300, 90, 0, 300)
    how = plan_of(down, across, 24, 96, 16)
    scores = field(down.target_count, across.target_count)
    holds = np.ones(scores.shape[1:], bool)
    _, _, blocks = gathered(how, scores, holds, with_scores=with_scores)
    expected = [(col, row) for col, _ in how.panels for row in range(0, down.count, how.strip_rows)]
    assert list(dict.fromkeys((block.row.col, block.window.row) for block in blocks)) == expected
    for before, after in zip(blocks, blocks[1:]):
        if before.row == after.row:
            assert after.window.col == before.window.col_end
        else:
            assert before.window.col_end == before.row.col_end
            assert after.window.col == after.row.col


@pytest.mark.parametrize("empty", [0, 5])
def test_a_piece_between_pixels_without_data_is_empty_whatever_lies_behind_them(empty: int) -> None:
    """Which of its pixels are to be mapped need not be read then."""
    down, across = AxisResampling(51_000, 60, 0, 51_000), AxisResampling(64, 30, 0, 64)
    how = plan_of(down, across, 16, 64, 17_000)
    rows, cols = down.needed(empty // 4 * 17_000, 17_000), across.needed(empty % 4 * BLOCK, BLOCK)
    holds = np.ones((60, 30), bool)
    holds[slice(*rows), slice(*cols)] = False
    _, _, blocks = gathered(how, field(60, 30), holds, with_scores=False)
    assert [index for index, block in enumerate(blocks) if not block.valid.any()] == [empty]
    assert len(blocks) == 12


def test_blocks_without_scores_are_refused() -> None:
    how = plan_of(AxisResampling(60, 20, 0, 60), AxisResampling(64, 20, 0, 64), 16, 64, 16)
    resampler = ScoreResampler(CLASSES, how, lambda _: None, with_scores=False, done=0)
    block = FinishedBlock(Window(0, 0, 16, 16), None, np.ones((16, 16), bool), (0, 20))
    with pytest.raises(ValueError, match="blocks that have scores"):
        list(resampler.add(block))


@pytest.mark.parametrize("factor", [0.5, 3.0, 20.0])
def test_what_is_kept_is_bounded(factor: float) -> None:
    """By a row of tiles and a strip, whatever the raster's height."""
    for rows in (5_000, 50_000):
        link = AxisResampling(rows, round(rows / factor), 0, rows)
        how = plan_of(link, AxisResampling(64, 20, 0, 64), 456, 64, 256)
        assert how.kept_rows <= 456 + 256 / factor + 3
