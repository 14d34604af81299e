"""Tiles that are not blended: labels make the same blocks as scores do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from scasnet_qgis.tiling.blending import Blender, FinishedBlock, UnblendedTiles, highest
from scasnet_qgis.tiling.windows import TilePlan, plan_tiles

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
