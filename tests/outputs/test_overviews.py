"""Reduced copies: right at every level and edge, whatever the window."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.outputs import overviews
from scasnet_qgis.outputs.overviews import Pyramid, Reduce, mean_of, most_frequent
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster, Recorder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


@pytest.mark.parametrize(
    ("four", "expected"),
    [
        ([1, 1, 2, 3], 1),
        ([2, 1, 1, 3], 1),
        ([2, 1, 3, 1], 1),
        ([2, 3, 1, 1], 1),
        ([3, 1, 3, 2], 3),
        ([3, 1, 2, 3], 3),
        ([4, 3, 2, 1], 4),
        ([5, 5, 1, 1], 5),
        ([0, 0, 0, 2], 0),
    ],
)
def test_most_frequent_of_four(four: list[int], expected: int) -> None:
    assert most_frequent(np.array(four, dtype=np.uint8).reshape(4, 1, 1)).item() == expected


def test_mean_leaves_out_what_has_no_data() -> None:
    four = np.array([[0.5, -1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, -1.0]], dtype=np.float32)
    np.testing.assert_allclose(mean_of(-1.0)(four[:, None])[0], [0.75, -1.0])


def by_hand(values: np.ndarray, reduce: Reduce) -> np.ndarray:
    """The next smaller copy of [rows, cols]."""
    odd = ((0, values.shape[0] % 2), (0, values.shape[1] % 2))
    padded = np.pad(values, odd, mode="edge")
    return reduce(np.stack([padded[r::2, c::2] for r in (0, 1) for c in (0, 1)]))


def check(dataset: gdal.Dataset, values: np.ndarray, reduce: Reduce) -> None:
    """Every level of every band is made of the one before, and the last fits into a block."""
    for number, level in enumerate(values, start=1):
        band = dataset.GetRasterBand(number)
        np.testing.assert_array_equal(band.ReadAsArray(), level)
        assert band.GetOverviewCount() > 0
        for index in range(band.GetOverviewCount()):
            level = by_hand(level, reduce)
            np.testing.assert_array_equal(band.GetOverview(index).ReadAsArray(), level)
        assert max(level.shape) <= 256


SHAPES = [(700, 1100), (1, 1500), (901, 3), (513, 512), (1300, 1290)]


@pytest.mark.parametrize("shape", SHAPES)
def test_levels_of_a_file_that_is_there(make_raster: MakeRaster, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(2).integers(0, 5, (1, *shape)).astype(np.uint8)
    dataset = gdal.Open(make_raster(values), gdal.GA_Update)
    recorder = Recorder()
    Pyramid(dataset, 256, most_frequent).finish(recorder)
    check(dataset, values, most_frequent)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0


def test_what_is_read_back_does_not_stay_in_gdals_cache(make_raster: MakeRaster) -> None:
    """It is read once; of a wide map it would fill the cache."""
    values = np.random.default_rng(2).integers(0, 5, (1, 1300, 2600)).astype(np.uint8)
    dataset = gdal.Open(make_raster(values), gdal.GA_Update)
    used: list[int] = []

    class Watched(Progress):
        def report(self, fraction: float) -> None:
            used.append(gdal.GetCacheUsed())

    before = gdal.GetCacheUsed()
    Pyramid(dataset, 256, most_frequent).finish(Watched())
    assert len(used) > 15
    assert max(used) - before <= 2 * 256 * 256


@pytest.mark.parametrize("open_blocks", [0, 2, 128])
@pytest.mark.parametrize("order", ["rows", "panels", "shuffled"])
@pytest.mark.parametrize("shape", SHAPES)
def test_levels_are_the_same_in_whatever_order_pixels_come(
    make_raster: MakeRaster,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int],
    order: str,
    open_blocks: int,
) -> None:
    monkeypatch.setattr(overviews, "OPEN_BLOCKS", open_blocks)
    random = np.random.default_rng(2)
    values = random.random((2, *shape), dtype=np.float32)
    values[random.random(values.shape) < 0.2] = -1
    dataset = gdal.Open(make_raster(values), gdal.GA_Update)
    pyramid = Pyramid(dataset, 256, mean_of(-1.0))
    width = {"rows": shape[1], "panels": 768, "shuffled": 256}[order]
    whole = Window(0, 0, *shape)
    windows = [
        Window(row, col, 256, width).intersect(whole)
        for col in range(0, shape[1], width)
        for row in range(0, shape[0], 256)
    ]
    if order == "shuffled":
        random.shuffle(windows)
    for at in windows:
        pyramid.add(at, values[:, at.row : at.row_end, at.col : at.col_end])
        waiting = [len(level._open) for level in pyramid._levels]
        assert all(count <= open_blocks >> index for index, count in enumerate(waiting))
    pyramid.finish(Progress())
    check(dataset, values, mean_of(-1.0))


def test_nothing_is_read_back_where_every_block_could_wait(make_raster: MakeRaster) -> None:
    values = np.random.default_rng(2).integers(0, 5, (1, 1100, 1300)).astype(np.uint8)
    dataset = gdal.Open(make_raster(np.zeros_like(values)), gdal.GA_Update)
    pyramid = Pyramid(dataset, 256, most_frequent)
    pyramid.add(Window(0, 0, 1100, 1300), values)
    assert not any(level.rest() for level in pyramid._levels)
    level = by_hand(values[0], most_frequent)
    np.testing.assert_array_equal(dataset.GetRasterBand(1).GetOverview(0).ReadAsArray(), level)


def test_many_bands_wait_in_bounded_memory(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first level may hold three blocks of two bands, the second one, the third none."""
    monkeypatch.setattr(overviews, "OPEN_BYTES", 3 * 2 * 256 * 256 * 4)
    values = np.random.default_rng(2).random((2, 1100, 2600), dtype=np.float32)
    dataset = gdal.Open(make_raster(values), gdal.GA_Update)
    pyramid = Pyramid(dataset, 256, mean_of(-1.0))
    for row in range(0, 1100, 256):
        pyramid.add(Window(row, 0, min(256, 1100 - row), 2600), values[:, row : row + 256])
        assert [len(level._open) for level in pyramid._levels][2:] == [0, 0]
        held = [block.values.nbytes for level in pyramid._levels for block in level._open.values()]
        assert sum(held) <= 2 * overviews.OPEN_BYTES
    pyramid.finish(Progress())
    check(dataset, values, mean_of(-1.0))
