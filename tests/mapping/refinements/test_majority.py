"""The majority filter against SciPy on whole arrays, and in whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from scipy import ndimage

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.refinements import majority as module
from scasnet_qgis.mapping.refinements.majority import Majority
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from tests.conftest import MakeRaster, Recorder
from tests.map_settings import changed
from tests.mapping.interrupting import fresh, interrupted, mapped, request_in
from tests.mapping.refinements.test_sieve import sieved
from tests.mapping.test_job import noise, run

pytestmark = pytest.mark.usefixtures("session")


def expected(labels: np.ndarray, window: int) -> np.ndarray:
    """SciPy's counts of each value in the window, and what follows from them."""
    values = np.unique(labels[labels > 0])
    if not len(values):
        return labels
    kernel = np.ones((window, window), dtype=np.int64)
    votes = np.stack(
        [
            ndimage.convolve((labels == value).astype(np.int64), kernel, mode="constant")
            for value in values
        ]
    )
    result = values[votes.argmax(axis=0)]  # the first, so the smallest, of equals
    for value, counts in zip(values, votes):
        keeps = (labels == value) & (counts == votes.max(axis=0))
        result[keeps] = value
    return np.where(labels == 0, 0, result).astype(np.uint8)


def speckle(rows: int, cols: int, classes: int = 4, seed: int = 1) -> np.ndarray:
    """Large areas with speckle on them, and a corner and single pixels without data."""
    random = np.random.default_rng(seed)
    shape = (-(-rows // 37), -(-cols // 41))
    large = np.kron(random.integers(1, classes + 1, shape), np.ones((37, 41)))[:rows, :cols]
    others = random.integers(0, classes + 1, (rows, cols))
    labels = np.where(random.random((rows, cols)) < 0.4, others, large)
    labels[: rows // 4, : cols // 3] = 0
    return labels.astype(np.uint8)


def filtered(labels: np.ndarray, window: int, folder: Path) -> tuple[np.ndarray, int]:
    """The map from its windows, which must cover it once, and how many pixels changed."""
    path = folder / "labels.tif"
    rows, cols = labels.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, 1, gdal.GDT_Byte)
    dataset.GetRasterBand(1).WriteArray(labels)
    del dataset
    result, times, total = np.zeros_like(labels), np.zeros(labels.shape, dtype=int), 0
    for at, part, changes in Majority(window).windows(path, folder, Progress()):
        result[at.row : at.row_end, at.col : at.col_end] = part
        times[at.row : at.row_end, at.col : at.col_end] += 1
        total += changes
    assert (times == 1).all()
    return result, total


@pytest.mark.parametrize("window", [3, 5, 11, 99])
@pytest.mark.parametrize("size", [(1, 1), (2, 40), (60, 70)])
def test_arrays_as_with_scipy(size: tuple[int, int], window: int) -> None:
    labels = speckle(*size)
    np.testing.assert_array_equal(module.majority(labels, window // 2), expected(labels, window))


@pytest.mark.parametrize("window", [3, 9, 41])
@pytest.mark.parametrize("size", [(63, 65), (64, 64), (65, 127), (128, 30), (130, 200)])
def test_windows_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], window: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 64)
    labels = speckle(*size)
    result, changes = filtered(labels, window, tmp_path)
    np.testing.assert_array_equal(result, expected(labels, window))
    assert changes == (result != labels).sum()


def test_a_map_of_several_blocks(tmp_path: Path) -> None:
    labels = speckle(513, 1030, 5)
    result, changes = filtered(labels, 7, tmp_path)
    np.testing.assert_array_equal(result, expected(labels, 7))
    assert changes == (result != labels).sum() > 10_000
    assert ((result == 0) == (labels == 0)).all(), "what has no class has none afterwards"


def test_of_equally_frequent_classes_the_own_wins_else_the_smallest() -> None:
    own = np.array([[3, 3, 0], [1, 3, 1], [1, 0, 0]], dtype=np.uint8)
    assert module.majority(own, 1)[1, 1] == 3
    others = np.array([[4, 4, 4], [2, 5, 2], [2, 0, 0]], dtype=np.uint8)
    assert module.majority(others, 1)[1, 1] == 2


def test_windows_without_a_middle_are_refused() -> None:
    with pytest.raises(SettingError, match="must be odd"):
        RefinementSteps.of([Majority(4)], None)
    assert RefinementSteps.of([Majority(0), Majority(1)], None) == RefinementSteps()


def test_a_run_confidence_first_then_majority_then_sieve(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    squares = np.kron(noise(30, 34), np.ones((5, 5))).astype(np.int64)
    image = np.clip(squares + noise() // 4 - 32, 1, 255).astype(np.uint8)
    image[:, 30:60, 40:90] = 0
    raster = make_raster(image, nodata=0)
    sure, _ = run(raster, tmp_path, min_confidence=0.4)
    smooth, result = run(raster, tmp_path, min_confidence=0.4, majority=5)
    np.testing.assert_array_equal(smooth, expected(sure, 5))
    assert result.counts.refined["smoothed_pixels"] == (smooth != sure).sum() > 1000
    both, result = run(raster, tmp_path, min_confidence=0.4, majority=5, sieve=12)
    np.testing.assert_array_equal(both, sieved(smooth, MinArea(12), 1000))
    assert result.counts.refined["smoothed_pixels"] == (smooth != sure).sum()
    assert result.counts.refined["merged_pixels"] == (both != smooth).sum() > 0


def test_a_resumed_run_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scasnet_qgis.outputs.workspace.MIN_KEPT_SECONDS", 0.0)
    request = changed(request_in(tmp_path), majority=5, sieve=9.0)
    interrupted(request)
    progress, result = mapped(request, Recorder())
    assert result.kept > 0
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    assert any("5 x 5 pixels" in text for text in progress.infos)
