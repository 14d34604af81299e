"""Which pixels of any raster hold data, against the rule asked pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from osgeo import gdal, gdal_array

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.nodata import mask_rule, read_mask
from scasnet_qgis.tiling.windows import Window

pytestmark = pytest.mark.usefixtures("session")


@st.composite
def rasters(draw: st.DrawFn) -> tuple[np.ndarray, list[float | None]]:
    """Pixels [bands, rows, cols] of few values, and each band's nodata value or None."""
    kind = draw(st.sampled_from([np.uint8, np.int16, np.uint16, np.float32]))
    values = st.sampled_from([0, 1, 255])
    if kind is np.float32:
        values = values | st.just(float("nan"))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    nodata = st.sampled_from([0.0, 1.0, 255.0])
    if kind is np.float32:
        nodata = nodata | st.just(float("nan"))
    nodata_values = draw(st.lists(st.none() | nodata, min_size=shape[0], max_size=shape[0]))
    return draw(arrays(kind, shape, elements=values)), nodata_values


def holds_data(pixel: list[float], nodata: list[float | None]) -> bool:
    """By its values: not where all are NaN, nor where each is its band's nodata value."""
    if all(math.isnan(value) for value in pixel):
        return False
    if any(value is None for value in nodata):
        return True
    return not all(
        value == none or (math.isnan(value) and math.isnan(none))
        for value, none in zip(pixel, nodata)
    )


@settings(max_examples=150, deadline=None)
@given(rasters(), st.data())
def test_pixels_without_data_are_those_of_the_rule(
    drawn: tuple[np.ndarray, list[float | None]], data: st.DataObject
) -> None:
    pixels, nodata = drawn
    count, rows, cols = pixels.shape
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(pixels.dtype.type)
    dataset = gdal.GetDriverByName("MEM").Create("", cols, rows, count, kind)
    for number, (plane, none) in enumerate(zip(pixels, nodata), start=1):
        dataset.GetRasterBand(number).WriteArray(plane)
        if none is not None:
            dataset.GetRasterBand(number).SetNoDataValue(none)
    bands = data.draw(st.permutations(range(1, count + 1)))
    bands = bands[: data.draw(st.integers(1, count))]
    rule = mask_rule(dataset, bands, Progress())
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    window = Window(row, col, rows - row, cols - col)
    used = [number - 1 for number in bands]
    part = pixels[used, row:, col:]
    found = read_mask(dataset, rule, bands, window, part)
    expected = np.array(
        [
            [holds_data(part[:, r, c].tolist(), [nodata[band] for band in used])]
            for r, c in np.ndindex(*part.shape[1:])
        ]
    ).reshape(part.shape[1:])
    if found is None:
        assert expected.all()
    else:
        assert not found.all()
        np.testing.assert_array_equal(found, expected)
