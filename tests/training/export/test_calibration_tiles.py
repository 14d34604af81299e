"""Where a model is calibrated and where it is compared."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from scasnet_qgis.common.errors import Cancelled, InputError
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.export.calibration_tiles import MAX_TILES, RasterSample, ReferenceLabels

CARD = ModelCard(
    "x", (ModelClass("a", "#000000"), ModelClass("b", "#ffffff")), ("grey",), mean=(0.4,), std=(1,)
)


@pytest.fixture
def sample_of(make_raster):
    def make(values: np.ndarray, **how) -> RasterSample:
        path = make_raster(np.asarray(values, dtype=np.uint8), "grey.tif", **how)
        return RasterSample(path, CARD, (), Progress())

    return make


def pixels(windows: tuple[Window, ...], shape: tuple[int, int]) -> np.ndarray:
    """How many windows each pixel lies in."""
    count = np.zeros(shape, dtype=int)
    for window in windows:
        count[window.row : window.row_end, window.col : window.col_end] += 1
    return count


@pytest.mark.parametrize(("rows", "cols"), [(300, 260), (1100, 1000), (2100, 600), (130, 3000)])
def test_calibration_and_comparison_are_apart(sample_of, rows, cols):
    division = sample_of(np.ones((rows, cols))).divide(None)
    assert not division.shared
    one, other = (
        pixels(windows, (rows, cols)) for windows in (division.calibration, division.comparison)
    )
    both = ((one > 0) & (other > 0)).mean()
    assert both < 0.08, "but for what neighbours share, because tiles are multiples of 8 pixels"
    assert min((one > 0).mean(), (other > 0).mean()) > 0.3
    assert {
        (window.rows, window.cols) for window in division.calibration + division.comparison
    } == {(division.calibration[0].rows, division.calibration[0].cols)}


def test_a_large_raster_is_sampled_all_over(sample_of):
    division = sample_of(np.ones((3000, 6000))).divide(None)
    for windows in (division.calibration, division.comparison):
        assert len(windows) == MAX_TILES
        count = pixels(windows, (3000, 6000))
        parts = count.reshape(2, 1500, 3, 2000).max(axis=(1, 3))
        assert parts.all(), "each sixth of the raster"
        assert count.max() <= 4


def test_a_small_raster_serves_for_both(sample_of):
    division = sample_of(np.ones((90, 70))).divide(None)
    assert division.shared
    assert division.comparison == (Window(0, 0, 90, 70),)


def test_only_windows_with_data(sample_of):
    values = np.zeros((900, 1000))
    values[610:640, 700:720] = 9
    division = sample_of(values, nodata=0).divide(None)
    for window in division.calibration + division.comparison:
        assert not window.intersect(Window(610, 700, 30, 20)).empty
    with pytest.raises(InputError, match=r"grey\.tif"):
        sample_of(np.zeros((900, 1000)), nodata=0).divide(None)


def test_comparison_goes_where_the_labels_are(sample_of, make_raster):
    sample = sample_of(np.ones((1100, 1000)))
    for row, col in product((100, 500, 900), (100, 500, 900)):
        labels = np.zeros((1100, 1000), dtype=np.uint8)
        labels[row : row + 20, col : col + 20] = 1
        path = make_raster(labels, f"labels_{row}_{col}.tif", nodata=0)
        classes = [{"value": "1", "name": "a", "color": "#000000"}]
        request = {"path": path, "classes": classes}
        reference = ReferenceLabels(request, sample.grid, CARD, Progress())
        division = sample.divide(None, 0, reference)
        assert not set(division.calibration) & set(division.comparison)
        assert division.comparison
        assert all((reference.read(window) == 0).any() for window in division.comparison)


def test_a_window_beyond_the_raster_is_mirrored_but_holds_no_data(sample_of):
    values = np.arange(60)[:, None].repeat(50, axis=1)
    sample = sample_of(values)
    tile, valid = sample.read(Window(0, 0, 64, 64))
    assert tile.shape == (1, 64, 64)
    assert valid.sum() == 60 * 50
    np.testing.assert_allclose(tile[0, 60:, 0] * 255, [59, 58, 57, 56], rtol=1e-5)
    division = sample.divide((64, 64))
    assert division.comparison == (Window(0, 0, 64, 64),)


def test_margins_look_beyond_the_window(sample_of):
    values = np.arange(100)[:, None].repeat(90, axis=1)
    tile, valid = sample_of(values).read(Window(10, 0, 20, 30), 5)
    assert tile.shape == (1, 30, 40)
    np.testing.assert_allclose(tile[0, :, 20] * 255, np.arange(5, 35), rtol=1e-5)
    assert valid.shape == (20, 30)
    assert valid.all()


def test_looking_for_windows_can_be_cancelled(make_raster):
    class Stopped(Progress):
        @property
        def cancelled(self) -> bool:
            return True

    path = make_raster(np.ones((100, 100), dtype=np.uint8), "grey.tif")
    sample = RasterSample(path, CARD, (), Stopped())
    with pytest.raises(Cancelled):
        sample.divide(None)
