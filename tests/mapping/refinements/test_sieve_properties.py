"""After the sieve no small patch is left that could have gone, as SciPy counts them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from osgeo import gdal
from scipy import ndimage

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.refinements.min_area import MinArea
from scasnet_qgis.mapping.refinements.sieve import Sieve

pytestmark = pytest.mark.usefixtures("session")
MAPS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 4)
)


def sieved(values: np.ndarray, limit: int, window: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        rows, cols = values.shape
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, 1, 1)
        dataset.GetRasterBand(1).WriteArray(values)
        dataset = None
        sieve = Sieve(path, Path(folder), MinArea(limit), window)
        try:
            sieve.run(Progress())
            result = np.zeros_like(values)
            for at, part, _ in sieve.parts():
                result[at.row : at.row_end, at.col : at.col_end] = part
        finally:
            sieve.close()
        return result


@settings(max_examples=25, deadline=None)
@given(MAPS, st.integers(1, 12), st.integers(2, 15))
def test_small_patches_stay_only_where_all_around_is_nodata(
    values: np.ndarray, limit: int, window: int
) -> None:
    result = sieved(values, limit, window)
    np.testing.assert_array_equal(result == 0, values == 0)
    for value in np.unique(result[result > 0]):
        patches, count = ndimage.label(result == value)
        for number in range(1, count + 1):
            patch = patches == number
            if patch.sum() >= limit:
                continue
            beside = ndimage.binary_dilation(patch) & ~patch
            assert not result[beside].any(), "it had a neighbour to go to"
    for value in set(np.unique(result)) - {0}:
        assert value in values, "no class is invented"
    np.testing.assert_array_equal(sieved(result, limit, window), result, "nothing is left to do")
