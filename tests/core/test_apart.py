"""Tiles that share no pixel: labels make the same blocks as scores do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from scasnet_qgis.core.apart import TilesApart
from scasnet_qgis.core.blending import Blender, FinishedBlock, highest
from scasnet_qgis.core.windows import TilePlan, plan_tiles

CLASSES = 4


def blocks(plan: TilePlan, kind: str) -> Iterator[FinishedBlock]:
    """Of noise, with a tile without data and one with some."""
    random = np.random.default_rng(5)
    scores = random.random((CLASSES, 400, 400), dtype=np.float32)
    holds_data = random.random((400, 400)) > 0.3
    for panel in plan.panels:
        maker = TilesApart(plan, panel) if kind == "labels" else Blender(CLASSES, plan, panel)
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
    assert plan.apart
    pairs = list(zip(blocks(plan, "labels"), blocks(plan, "scores"), strict=True))
    for found, wanted in pairs:
        assert (found.window, found.panel, found.row) == (wanted.window, wanted.panel, wanted.row)
        assert found.scores is None
        np.testing.assert_array_equal(found.valid, wanted.valid, strict=True)
        np.testing.assert_array_equal(found.labels(), wanted.labels(), strict=True)
    assert sum(each.window.rows * each.window.cols for each, _ in pairs) == rows * cols


def test_a_tile_beside_the_panel_gives_nothing() -> None:
    plan = plan_tiles(64, 384, (64, 96), 0, fixed=False, panel_cols=128, block=128)
    tile = next(iter(plan.row_tiles(plan.panels[0], 0)))
    assert TilesApart(plan, plan.panels[2]).add(tile, None, None) is None


@pytest.mark.parametrize(("rows", "cols"), [(64, 100), (100, 64)])
def test_tiles_that_overlap_are_refused(rows: int, cols: int) -> None:
    plan = plan_tiles(rows, cols, (64, 64), 16, fixed=False, panel_cols=1000, block=64)
    assert not plan.apart
    with pytest.raises(ValueError, match="overlap"):
        TilesApart(plan, plan.panels[0])
