"""What the model sees of a raster: means and lines between its pixels, whatever window is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images import resampled_reader
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.images.resampled_reader import ResampledReader
from scasnet_qgis.tiling.resampling import AxisResampling
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster

RGB = ("red", "green", "blue")
ROWS, COLS = 200, 170
WINDOWS = (Window(0, 0, 20, 30), Window(7, 3, 1, 1), Window(11, 20, 30, 17), Window(0, 40, 50, 7))


def image(kind: str = "uint8") -> np.ndarray:
    top = np.iinfo(kind).max if kind.startswith("u") else 1000
    return np.random.default_rng(5).integers(1, top, (3, ROWS, COLS)).astype(kind)


def resampled(source: str, rows: int, cols: int) -> tuple[ResampledReader, Window]:
    reader = RasterReader(source, RGB, (), Progress())
    links = AxisResampling(ROWS, rows, 0, ROWS), AxisResampling(COLS, cols, 0, COLS)
    return ResampledReader(reader, *links), Window(0, 0, rows, cols)


def check_windows(reader: ResampledReader, whole: Window) -> np.ndarray:
    """Windows are what the whole holds there; returns that."""
    pixels, valid = reader.read(whole)
    for window in WINDOWS:
        part = window.intersect(whole)
        if part.empty:
            continue
        at = (slice(part.row, part.row_end), slice(part.col, part.col_end))
        found, holds = reader.read(part)
        np.testing.assert_array_equal(found, pixels[(slice(None), *at)])
        expected = np.True_ if valid is None else valid[at]
        assert (
            np.broadcast_to(expected, found.shape[1:]) == (True if holds is None else holds)
        ).all()
    return pixels


SIZES = [(50, 34), (61, 53), (200, 60), (23, 170), (10, 9), (400, 340), (333, 171), (90, 400)]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_windows_hold_what_the_whole_holds(
    make_raster: MakeRaster, kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampled_reader, "_PIECE_BYTES", 20_000)
    values = image(kind)
    values[:, 30:60, 20:50] = 0
    reader, whole = resampled(make_raster(values, nodata=0), *size)
    pixels = check_windows(reader, whole)
    assert pixels.dtype == kind
    monkeypatch.setattr(resampled_reader, "_PIECE_BYTES", 10**9)
    np.testing.assert_array_equal(reader.read(whole)[0], pixels)


def test_whole_factors_give_plain_means(make_raster: MakeRaster) -> None:
    values = image()
    reader, whole = resampled(make_raster(values), 50, 34)
    means = values.reshape(3, 50, 4, 34, 5).mean(axis=(2, 4), dtype=float)
    found, valid = reader.read(whole)
    assert valid is None
    assert np.abs(found - means).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("size", [(61, 53), (400, 340), (90, 400)])
def test_gdal_finds_the_same(make_raster: MakeRaster, size: tuple[int, int]) -> None:
    """Its mean of smaller and its cubic interpolation of larger pixels, one axis after another."""
    values = image("float32")
    found, _ = resampled(make_raster(values), *size)[0].read(Window(0, 0, *size))
    dataset = gdal.GetDriverByName("MEM").Create("", COLS, ROWS, 3, gdal.GDT_Float32)
    dataset.WriteArray(values)
    for rows, cols in ((size[0], COLS), size):
        smaller = rows < dataset.RasterYSize or cols < dataset.RasterXSize
        how = "average" if smaller else "cubic"
        dataset = gdal.Translate(
            "", dataset, format="MEM", width=cols, height=rows, resampleAlg=how
        )
    inner = (slice(None), slice(6, -6), slice(6, -6))  # at the edges GDAL has other neighbours
    np.testing.assert_allclose(found[inner], dataset.ReadAsArray()[inner], rtol=2e-3)


def test_overviews_are_not_used(make_raster: MakeRaster) -> None:
    source = make_raster(image())
    reader, whole = resampled(source, 50, 34)
    before = reader.read(whole)[0].copy()
    dataset = gdal.Open(source)
    dataset.BuildOverviews("NEAREST", [2, 4])
    del dataset, reader
    np.testing.assert_array_equal(resampled(source, 50, 34)[0].read(whole)[0], before)


def ways_to_mark(values: np.ndarray, holds: np.ndarray) -> dict[str, tuple[np.ndarray, dict]]:
    alpha = np.concatenate((values, np.where(holds, 255, 0).astype(np.uint8)[None]))
    colours = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand)
    nan = np.where(holds, values, np.float32(np.nan)).astype(np.float32)
    return {
        "nodata": (np.where(holds, values, 0).astype(np.uint8), {"nodata": 0}),
        "mask": (values, {"mask": holds}),
        "alpha": (alpha, {"meaning": colours}),
        "nan": (nan, {}),
    }


@pytest.mark.parametrize("way", ["nodata", "mask", "alpha", "nan"])
@pytest.mark.parametrize("size", [(50, 34), (61, 53), (400, 340)])
def test_pixels_without_data_do_not_count(
    make_raster: MakeRaster, way: str, size: tuple[int, int]
) -> None:
    values = image()
    values[:, 100:, :] = 50  # what remains shows: the mean of it is 50
    holds = np.random.default_rng(8).random((ROWS, COLS)) > 0.6
    holds[30:70, 40:80] = False
    written, how = ways_to_mark(values, holds)[way]
    reader, whole = resampled(make_raster(written, **how), *size)
    pixels, valid = reader.read(whole)
    assert valid is not None
    rows, cols = size[0] / ROWS, size[1] / COLS
    middle = slice(int(35 * rows), int(65 * rows)), slice(int(45 * cols), int(75 * cols))
    assert not valid[middle].any()
    below = (pixels[:, -size[0] // 3 :], valid[-size[0] // 3 :])
    np.testing.assert_allclose(below[0][:, below[1]], 50, atol=1e-4)
    np.testing.assert_array_equal(reader.holds_data(Window(10, 20, 90, 80)), holds[10:100, 20:100])
    # Each own pixel with data lies in one that the model sees as such.
    own = np.argwhere(holds)
    seen = (own * 2 + 1) * np.array(size) // (2 * np.array([ROWS, COLS]))
    assert valid[seen[:, 0], seen[:, 1]].all()
    check_windows(reader, whole)


def test_a_value_that_is_none_leaves_the_others_alone(make_raster: MakeRaster) -> None:
    """NaN or infinite in one band only."""
    values = np.full((3, ROWS, COLS), 7, dtype=np.float32)
    values[1, 0, 0], values[2, 0, :4], values[2, 1:4, :5] = np.inf, np.nan, np.nan
    reader, _ = resampled(make_raster(values), 50, 34)
    pixels, valid = reader.read(Window(0, 0, 1, 1))
    assert valid is None
    np.testing.assert_allclose(pixels.ravel(), 7, rtol=1e-6)
    values[2, :4, :5] = np.nan
    reader, _ = resampled(make_raster(values, "again.tif"), 50, 34)
    np.testing.assert_array_equal(np.isnan(reader.read(Window(0, 0, 1, 1))[0].ravel()), [0, 0, 1])


def test_a_raster_without_gaps_is_not_asked_for_them(make_raster: MakeRaster) -> None:
    reader, _ = resampled(make_raster(image()), 50, 34)
    assert reader.holds_data(Window(0, 0, 10, 10)) is None


class _Counting:
    """A reader of any size that remembers the largest window it was asked for."""

    block_rows = 256
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    marks_gaps = False

    def __init__(self) -> None:
        self.largest, self.bands = 0, [1, 2, 3]

    def cache_bytes_for(self, tile: tuple[int, int]) -> int:
        return tile[0] * tile[1]

    def read(self, window: Window) -> tuple[np.ndarray, None]:
        pixels = np.zeros((3, window.rows, window.cols), dtype=np.uint8)
        self.largest = max(self.largest, pixels.nbytes)
        return pixels, None


@pytest.mark.parametrize("factor", [3, 20, 400])
def test_no_more_is_read_at_a_time_than_fits(factor: int) -> None:
    """A tile of 456 pixels is 9120 pixels of a raster that is twenty times as fine."""
    counting = _Counting()
    link = AxisResampling(100_000 * factor, 100_000, 0, 1000)
    reader = ResampledReader(counting, link, link)
    size = 456 if factor < 100 else 8
    pixels, _ = reader.read(Window(1000, 2000, size, size))
    assert pixels.shape == (3, size, size)
    assert 0 < counting.largest <= 1.1 * resampled_reader._PIECE_BYTES
    assert reader.cache_bytes_for((456, 456)) <= 64 * 2**20 if factor < 100 else True
