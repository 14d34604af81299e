"""Reading on where tiles are left out, and where some parts of an image have a mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.overlap_cache import OverlapCache
from scasnet_qgis.tiling.windows import Window, plan_tiles


class Source:
    """Says None for a mask where all pixels of a window hold data, as a raster does."""

    def __init__(self, rows: int, cols: int, block_rows: int) -> None:
        self.block_rows = block_rows
        self.image = np.random.default_rng(1).integers(0, 99, (2, rows, cols)).astype(np.uint16)
        self.mask = np.ones((rows, cols), dtype=bool)
        self.mask[rows // 3 : rows // 2, cols // 4 :] = False
        self.rows_read = np.zeros(rows, dtype=int)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        assert not window.empty, "GDAL reads no window without pixels"
        at = np.s_[window.row : window.row_end, window.col : window.col_end]
        self.rows_read[at[0]] += 1
        mask = self.mask[at]
        return self.image[(slice(None), *at)], None if mask.all() else mask


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 160),
    cols=st.integers(1, 70),
    tile_size=st.integers(16, 60),
    share=st.floats(0, 0.9),
    margin=st.integers(0, 8),
    block_rows=st.sampled_from([1, 5, 16, 64]),
    data=st.data(),
)
def test_tiles_that_are_left_out_harm_no_other(
    rows: int,
    cols: int,
    tile_size: int,
    share: float,
    margin: int,
    block_rows: int,
    data: st.DataObject,
) -> None:
    source, raster = Source(rows, cols, block_rows), Window(0, 0, rows, cols)
    overlap = int(tile_size * share)
    plan = plan_tiles(
        rows, cols, (tile_size, tile_size), overlap, fixed=False, panel_cols=32, block=16
    )
    reader = OverlapCache(source, raster)
    for panel in plan.panels:
        left_out = data.draw(st.sets(st.integers(0, len(plan.vertical) - 1)))
        for row in range(len(plan.vertical)):
            for tile in plan.row_tiles(panel, row):
                if row in left_out:
                    reader.forget(tile.col)
                    continue
                window = tile.out.grow(margin).intersect(raster)
                following = None
                if row + 1 < len(plan.vertical):
                    following = max(plan.vertical.starts[row + 1] - margin, 0)
                parts = reader.read(tile.col, window, following)
                at = np.s_[window.row : window.row_end, window.col : window.col_end]
                raw = np.concatenate([part.raw for part in parts], axis=1)
                np.testing.assert_array_equal(raw, source.image[(slice(None), *at)], strict=True)
                valid = [
                    np.ones(part.raw.shape[1:], bool) if part.valid is None else part.valid
                    for part in parts
                ]
                np.testing.assert_array_equal(np.concatenate(valid), source.mask[at], strict=True)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 400),
    tile_size=st.integers(16, 90),
    share=st.floats(0, 0.7),
    margin=st.integers(0, 8),
    block_rows=st.sampled_from([1, 5, 16, 64, 512]),
)
def test_down_one_column_every_row_is_read_once(
    rows: int, tile_size: int, share: float, margin: int, block_rows: int
) -> None:
    source, raster = Source(rows, 20, block_rows), Window(0, 0, rows, 20)
    plan = plan_tiles(
        rows,
        20,
        (tile_size, tile_size),
        int(tile_size * share),
        fixed=False,
        panel_cols=32,
        block=16,
    )
    reader = OverlapCache(source, raster)
    ends = []
    for row, top in enumerate(plan.vertical.starts):
        window = Window(top, 0, plan.vertical.size, 20).grow(margin).intersect(raster)
        last = row + 1 == len(plan.vertical)
        following = None if last else max(plan.vertical.starts[row + 1] - margin, 0)
        reader.read(0, window, following)
        ends.append(window.row_end)
    assert source.rows_read.tolist() == [1] * rows
