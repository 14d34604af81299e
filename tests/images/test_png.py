"""Pictures in memory."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.images.png import png_bytes


def decoded(content: bytes) -> np.ndarray:
    gdal.FileFromMemBuffer("/vsimem/read.png", content)
    try:
        return gdal.Open("/vsimem/read.png").ReadAsArray()
    finally:
        gdal.Unlink("/vsimem/read.png")


@pytest.mark.parametrize("shape", [(3, 40, 23), (40, 23), (1, 1), (3, 1, 5), (4, 8, 8)])
def test_pixels_come_back(session, shape) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    content = png_bytes(pixels)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    np.testing.assert_array_equal(decoded(content), pixels)


def test_arrays_that_are_views_come_back() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    turned = pixels[::-1, ::2].transpose(2, 0, 1)
    np.testing.assert_array_equal(decoded(png_bytes(turned)), turned)


def test_nothing_is_left_behind(session) -> None:
    before = gdal.ReadDir("/vsimem/") or []
    png_bytes(np.zeros((3, 9, 9), np.uint8))
    assert (gdal.ReadDir("/vsimem/") or []) == before


def test_too_many_planes_are_one_sentence(session) -> None:
    with pytest.raises(OutputError):
        png_bytes(np.zeros((7, 9, 9), np.uint8))
    assert not [name for name in gdal.ReadDir("/vsimem/") or [] if name.startswith("scasnet")]
