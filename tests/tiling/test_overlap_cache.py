"""Overlapping windows are put together from what was read before, and nothing is read twice."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.overlap_cache import OverlapCache
from scasnet_qgis.tiling.windows import Window
from tests.tiling.plans import pixels, plan_of


class CountingSource:
    """Says None for a mask where all pixels of a window hold data, as a raster does."""

    def __init__(self, rows: int, cols: int, block_rows: int) -> None:
        self.block_rows = block_rows
        self.image = np.random.default_rng(1).integers(0, 99, (2, rows, cols)).astype(np.uint16)
        self.mask = np.ones((rows, cols), dtype=bool)
        self.mask[rows // 3 : rows // 2, cols // 4 :] = False
        self.reads = np.zeros((rows, cols), dtype=int)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        assert not window.empty, "GDAL reads no window without pixels"
        at = pixels(window)
        self.reads[at] += 1
        mask = self.mask[at]
        return self.image[(slice(None), *at)], None if mask.all() else mask


def read_tiles(
    source: CountingSource,
    tile_size: int,
    overlap: int,
    margin: int = 0,
    left_out: Set[int] = frozenset(),
) -> None:
    """Read the tiles of a plan but for some rows, and compare what they get with the image."""
    rows, cols = source.reads.shape
    raster = Window(0, 0, rows, cols)
    plan = plan_of(rows, cols, (tile_size, tile_size), overlap, panel_cols=32)
    reader = OverlapCache(source, raster)
    for panel in plan.panels:
        for row, _ in enumerate(plan.vertical.starts):
            for tile in plan.row_tiles(panel, row):
                if row in left_out:
                    reader.forget(tile.col)
                    continue
                window = tile.out.grow(margin).intersect(raster)
                following = None
                if row + 1 < len(plan.vertical):
                    following = max(plan.vertical.starts[row + 1] - margin, 0)
                parts = reader.read(tile.col, window, following)
                ends = [window.row, *(part.window.row_end for part in parts)]
                assert [part.window.row for part in parts] == ends[:-1]
                raw = np.concatenate([part.raw for part in parts], axis=1)
                at = pixels(window)
                np.testing.assert_array_equal(raw, source.image[(slice(None), *at)], strict=True)
                valid = [
                    np.ones(part.raw.shape[1:], bool) if part.valid is None else part.valid
                    for part in parts
                ]
                np.testing.assert_array_equal(np.concatenate(valid), source.mask[at], strict=True)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 160),
    cols=st.integers(1, 90),
    tile_size=st.integers(16, 60),
    share=st.floats(0, 0.9),
    margin=st.integers(0, 8),
    block_rows=st.sampled_from([1, 5, 7, 16, 64, 512]),
    left_out=st.just(set()) | st.sets(st.integers(0, 20)),
)
def test_every_tile_gets_its_own_pixels_also_where_others_are_left_out(
    rows: int,
    cols: int,
    tile_size: int,
    share: float,
    margin: int,
    block_rows: int,
    left_out: set[int],
) -> None:
    source = CountingSource(rows, cols, block_rows)
    read_tiles(source, tile_size, int(tile_size * share), margin, left_out)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 400),
    tile_size=st.integers(20, 90),
    share=st.floats(0, 0.7),
    margin=st.integers(0, 8),
    block_rows=st.sampled_from([1, 5, 16, 64, 512]),
)
def test_down_one_column_every_row_is_read_once(
    rows: int, tile_size: int, share: float, margin: int, block_rows: int
) -> None:
    """Tiles beside each other share what GDAL's cache still has."""
    source = CountingSource(rows, 20, block_rows)
    read_tiles(source, tile_size, int(tile_size * share), margin)
    assert (source.reads == 1).all()


def test_what_a_skipped_tile_did_not_read_is_read_later() -> None:
    source = CountingSource(64, 32, 1)
    reader = OverlapCache(source, Window(0, 0, 64, 32))
    reader.read(0, Window(0, 0, 20, 32), 10)
    parts = reader.read(0, Window(40, 0, 20, 32), None)  # the tile from row 10 on was not asked for
    assert len(parts) == 1
    np.testing.assert_array_equal(parts[0].raw, source.image[:, 40:60])


def test_only_what_overlaps_is_kept() -> None:
    reader = OverlapCache(CountingSource(1000, 8, 32), Window(0, 0, 1000, 8))
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
