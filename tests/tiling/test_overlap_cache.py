"""Windows that overlap are put together from what was read before, and nothing is read twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.overlap_cache import OverlapCache
from scasnet_qgis.tiling.windows import Window, plan_tiles


class CountingSource:
    def __init__(self, rows: int, cols: int, block_rows: int, masked: bool = False) -> None:
        self.block_rows = block_rows
        self.image = np.random.default_rng(1).integers(0, 255, (2, rows, cols)).astype(np.uint8)
        self.mask = np.random.default_rng(2).random((rows, cols)) > 0.1 if masked else None
        self.reads = np.zeros((rows, cols), dtype=int)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        at = np.s_[window.row : window.row_end, window.col : window.col_end]
        self.reads[at] += 1
        return self.image[(slice(None), *at)], None if self.mask is None else self.mask[at]


def walk(source: CountingSource, tile_size: int, overlap: int, margin: int = 0) -> None:
    """Read all tiles of a plan, and compare what they get with the image."""
    rows, cols = source.reads.shape
    raster = Window(0, 0, rows, cols)
    plan = plan_tiles(
        rows, cols, (tile_size, tile_size), overlap, fixed=False, panel_cols=10**6, block=16
    )
    reader = OverlapCache(source, raster)
    for row in range(len(plan.vertical)):
        for tile in plan.row_tiles(plan.panels[0], row):
            window = tile.out.grow(margin).intersect(raster)
            following = None
            if row + 1 < len(plan.vertical):
                following = max(plan.vertical.starts[row + 1] - margin, 0)
            parts = reader.read(tile.col, window, following)
            assert parts[0].window.row == window.row
            assert parts[-1].window.row_end == window.row_end
            for before, after in zip(parts, parts[1:]):
                assert before.window.row_end == after.window.row
            at = np.s_[window.row : window.row_end, window.col : window.col_end]
            found = np.concatenate([part.raw for part in parts], axis=1)
            np.testing.assert_array_equal(found, source.image[(slice(None), *at)], strict=True)
            if source.mask is not None:
                valid = np.concatenate([part.valid for part in parts])
                np.testing.assert_array_equal(valid, source.mask[at], strict=True)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 150),
    cols=st.integers(1, 90),
    tile_size=st.integers(16, 60),
    share=st.floats(0, 0.9),
    margin=st.integers(0, 8),
    block_rows=st.sampled_from([1, 7, 16, 64, 512]),
    masked=st.booleans(),
)
def test_every_tile_gets_its_own_pixels(
    rows: int, cols: int, tile_size: int, share: float, margin: int, block_rows: int, masked: bool
) -> None:
    walk(CountingSource(rows, cols, block_rows, masked), tile_size, int(tile_size * share), margin)


@pytest.mark.parametrize("block_rows", [1, 16, 64])
def test_no_row_of_blocks_is_read_twice(block_rows: int) -> None:
    """Down a column of tiles; those beside each other share what GDAL's cache still holds."""
    source = CountingSource(400, 50, block_rows)
    walk(source, 64, 20)
    assert source.reads.max() == 1
    assert source.reads.min() == 1


def test_what_a_skipped_tile_did_not_read_is_read_later() -> None:
    source = CountingSource(64, 32, 1)
    reader = OverlapCache(source, Window(0, 0, 64, 32))
    reader.read(0, Window(0, 0, 20, 32), 10)
    parts = reader.read(0, Window(40, 0, 20, 32), None)  # the tile from row 10 on was not asked for
    assert len(parts) == 1
    np.testing.assert_array_equal(parts[0].raw, source.image[:, 40:60])


def test_what_is_kept_is_only_what_overlaps() -> None:
    source = CountingSource(1000, 8, 32)
    reader = OverlapCache(source, Window(0, 0, 1000, 8))
    reader.read(0, Window(0, 0, 500, 8), 480)
    kept = reader._kept[0]
    assert (kept.window.row, kept.window.row_end) == (480, 512)
    assert kept.raw.base.shape[1] <= 20 + 32 + 16, "a view would keep the whole tile in memory"


def test_pieces_of_one_size_are_kept_down_a_column() -> None:
    """However many rows are left of a block, so that memory gets no gaps."""
    reader = OverlapCache(CountingSource(1000, 8, 32), Window(0, 0, 1000, 8))
    rows, sizes = set(), set()
    for top in range(0, 800, 80):
        reader.read(0, Window(top, 0, 100, 8), top + 80)
        rows.add(reader._kept[0].window.rows)
        sizes.add(reader._kept[0].raw.base.shape[1])
    assert len(rows) > 1
    assert len(sizes) == 1
    assert max(sizes) < 20 + 32 + 16
