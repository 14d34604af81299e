"""Reduced copies: right at every level and edge, whatever the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster import overviews
from scasnet_qgis.raster.overviews import fill_overviews, mean_of, most_frequent
from tests.conftest import MakeRaster

pytestmark = pytest.mark.usefixtures("session")


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


@pytest.mark.parametrize("shape", [(700, 1100), (1, 1500), (901, 3), (513, 512)])
@pytest.mark.parametrize("window", [256, 1024])
def test_every_level_is_made_of_the_one_before(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], window: int
) -> None:
    monkeypatch.setattr(overviews, "WINDOW", window)
    values = np.random.default_rng(2).integers(0, 5, shape).astype(np.uint8)
    path = make_raster(values)
    fill_overviews(Path(path), 256, most_frequent, Progress())
    dataset = gdal.Open(path)
    band = dataset.GetRasterBand(1)
    assert band.GetOverviewCount() > 0
    for index in range(band.GetOverviewCount()):
        odd = ((0, values.shape[0] % 2), (0, values.shape[1] % 2))
        padded = np.pad(values, odd, mode="edge")
        four = np.stack([padded[r::2, c::2] for r in (0, 1) for c in (0, 1)])
        values = most_frequent(four)
        np.testing.assert_array_equal(band.GetOverview(index).ReadAsArray(), values)
    assert max(values.shape) <= 256
