"""Reduced copies of any raster, and what four pixels become."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs.overviews import Pyramid, mean_of, most_frequent
from scasnet_qgis.tiling.windows import Window

pytestmark = pytest.mark.usefixtures("session")
BLOCK = 16
NODATA = -1.0
fours = st.integers(1, 30).flatmap(
    lambda count: arrays(np.uint8, (4, 1, count), elements=st.integers(0, 4))
)


def frequent_by_hand(four: list[int]) -> int:
    counts = Counter(four)
    return next(value for value in four if counts[value] == max(counts.values()))


def mean_by_hand(four: list[float]) -> float:
    known = [value for value in four if value != NODATA]
    return sum(known) / len(known) if known else NODATA


@settings(max_examples=100, deadline=None)
@given(fours)
def test_the_most_frequent_as_counted(four: np.ndarray) -> None:
    expected = [frequent_by_hand(values) for values in four[:, 0].T.tolist()]
    assert most_frequent(four)[0].tolist() == expected


@settings(max_examples=100, deadline=None)
@given(fours)
def test_the_mean_of_what_holds_data(four: np.ndarray) -> None:
    values = four.astype(np.float32) - 1  # a fifth of them -1
    expected = [mean_by_hand(block) for block in values[:, 0].T.tolist()]
    np.testing.assert_allclose(mean_of(NODATA)(values)[0], expected, atol=1e-6)


def quarters(values: np.ndarray) -> np.ndarray:
    """The next smaller copy of [rows, cols], pixel by pixel."""
    rows, cols = values.shape
    result = np.zeros((-(-rows // 2), -(-cols // 2)), dtype=values.dtype)
    for row, col in np.ndindex(*result.shape):
        below, right = min(2 * row + 1, rows - 1), min(2 * col + 1, cols - 1)
        four = [values[r, c] for r in (2 * row, below) for c in (2 * col, right)]
        result[row, col] = frequent_by_hand([int(value) for value in four])
    return result


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([BLOCK, 3 * BLOCK, 6 * BLOCK]),
    st.randoms(use_true_random=False),
)
def test_every_level_of_any_raster_in_any_order(rows: int, cols: int, width: int, random) -> None:
    values = np.random.default_rng((rows, cols)).integers(0, 4, (rows, cols)).astype(np.uint8)
    path = f"/vsimem/overviews-{rows}-{cols}.tif"
    options = ["TILED=YES", f"BLOCKXSIZE={BLOCK}", f"BLOCKYSIZE={BLOCK}"]
    dataset = gdal.GetDriverByName("GTiff").Create(path, cols, rows, 1, 1, options=options)
    try:
        pyramid = Pyramid(dataset, BLOCK, most_frequent)
        whole = Window(0, 0, rows, cols)
        windows = [
            Window(row, col, BLOCK, width).intersect(whole)
            for row in range(0, rows, BLOCK)
            for col in range(0, cols, width)
        ]
        random.shuffle(windows)
        for at in windows:
            part = values[at.row : at.row_end, at.col : at.col_end]
            dataset.GetRasterBand(1).WriteArray(part, at.col, at.row)
            pyramid.add(at, part[None])
        pyramid.finish(Progress())
        level = values
        for index in range(dataset.GetRasterBand(1).GetOverviewCount()):
            level = quarters(level)
            found = dataset.GetRasterBand(1).GetOverview(index).ReadAsArray()
            np.testing.assert_array_equal(found, level)
        assert max(level.shape) <= BLOCK
    finally:
        dataset = None
        gdal.Unlink(path)
