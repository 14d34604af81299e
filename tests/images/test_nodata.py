"""Which pixels hold data: mask band, alpha, nodata values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from osgeo import gdal, gdal_array

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.nodata import mask_rule, read_mask
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster, Recorder

RGBA = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand)
RGB = ("red", "green", "blue")
ROWS, COLS = 80, 90


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(1, 255, (4, ROWS, COLS)).astype(np.uint8)


@pytest.fixture
def hole() -> np.ndarray:
    """True where there is data."""
    valid = np.ones((ROWS, COLS), dtype=bool)
    valid[10:50, 20:60] = False
    return valid


def masked(source: str, progress: Progress | None = None) -> tuple[str, np.ndarray]:
    """The kind of the rule, and where there is data, read in windows and at once."""
    reader = RasterReader(source, RGB, (), progress or Progress())
    whole = mask_of(reader, reader.grid.whole)
    for window in (Window(5, 7, 33, 41), Window(79, 0, 1, 90)):
        part = whole[window.row : window.row_end, window.col : window.col_end]
        np.testing.assert_array_equal(mask_of(reader, window), part)
    assert reader.rule.sentence
    return reader.rule.kind, whole


def mask_of(reader: RasterReader, window: Window) -> np.ndarray:
    _, valid = reader.read(window)
    assert valid is None or not valid.all(), "None says that all pixels hold data"
    return np.ones((window.rows, window.cols), dtype=bool) if valid is None else valid


@pytest.mark.fault(
    "A fourth band that is flagged as alpha but is near infrared.",
    "It is taken as data and a warning says so.",
)
def test_near_infrared_flagged_as_alpha_is_data(
    make_raster: MakeRaster, image: np.ndarray, recorder: Recorder
) -> None:
    image[3, 0, 0] = 0
    kind, valid = masked(make_raster(image, meaning=RGBA), recorder)
    assert kind == "none"
    assert valid.all()
    assert len(recorder.warnings) == 1


@pytest.mark.fault(
    "An alpha band of 0 and full, 8-bit or 16-bit.", "Where it is 0 there is no data."
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_real_alpha_is_a_mask(
    make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray, dtype: Any
) -> None:
    pixels = image.astype(dtype)
    pixels[3] = np.where(hole, np.iinfo(dtype).max, 0)
    kind, valid = masked(make_raster(pixels, meaning=RGBA))
    assert kind == "alpha"
    np.testing.assert_array_equal(valid, hole)


def test_one_odd_value_late_in_the_alpha_makes_it_data(
    make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scasnet_qgis.images.nodata._SCAN", 32)
    image[3] = np.where(hole, 255, 0)
    image[3, -1, -1] = 128
    assert masked(make_raster(image, meaning=RGBA))[0] == "none"


def test_a_mask_band(make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray) -> None:
    kind, valid = masked(make_raster(image[:3], mask=hole))
    assert kind == "mask"
    np.testing.assert_array_equal(valid, hole)


@pytest.mark.fault(
    "A mask band beside near infrared that is flagged as alpha.",
    "The mask band says where data is.",
)
def test_a_mask_band_beside_an_infrared_alpha(
    make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray
) -> None:
    kind, valid = masked(make_raster(image, meaning=RGBA, mask=hole))
    assert kind == "mask"
    np.testing.assert_array_equal(valid, hole)


@pytest.mark.fault(
    "A nodata value that occurs in one or two bands as a real value (a black car).",
    "Such pixels are mapped.",
)
@pytest.mark.parametrize("nodata", [0, 255])
def test_a_black_car_is_data(make_raster: MakeRaster, image: np.ndarray, nodata: int) -> None:
    """Nodata is where all the bands hold it, not where one or two do."""
    image[0, 5:9, 5:9] = nodata
    image[:2, 20:30, 5:9] = nodata
    image[1:3, 60:70, 5:9] = nodata
    image[:, 40:50, 60:70] = nodata
    kind, valid = masked(make_raster(image[:3], nodata=nodata))
    assert kind == "values"
    expected = np.ones((ROWS, COLS), dtype=bool)
    expected[40:50, 60:70] = False
    np.testing.assert_array_equal(valid, expected)


def test_only_the_bands_that_are_read_count(make_raster: MakeRaster, image: np.ndarray) -> None:
    image[:3, 40:50, 60:70] = 0
    source = make_raster(image, nodata=0, meaning=(*RGBA[:3], gdal.GCI_Undefined))
    assert masked(source)[1].sum() == ROWS * COLS - 100


@pytest.mark.fault(
    "A nodata value that the file's type rounds.", "It is compared as the type rounds it."
)
@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        (np.float32, 0.1),
        (np.float32, -3.4028234663852886e38),
        (np.float32, -3.4e38),
        (np.float64, -9999.9),
        (np.float32, np.nan),
        (np.int16, -9999),
        (np.uint16, 65535),
    ],
)
def test_nodata_is_what_the_file_s_type_makes_of_it(
    make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray, dtype: Any, nodata: float
) -> None:
    pixels = np.where(hole, image[:3].astype(dtype), np.array(nodata, dtype=dtype))
    kind, valid = masked(make_raster(pixels, nodata=nodata))
    assert kind == "values"
    np.testing.assert_array_equal(valid, hole)


@pytest.mark.fault("NaN as the nodata value.", "Where all bands are NaN there is no data.")
@pytest.mark.parametrize("kind", ["none", "values", "mask"])
def test_nan_in_every_band_is_no_data_and_in_one_band_is(
    make_raster: MakeRaster, image: np.ndarray, hole: np.ndarray, kind: str
) -> None:
    pixels = np.where(hole, image[:3], np.nan).astype(np.float32)
    pixels[1, 70, :] = np.nan
    how: dict[str, Any] = {"none": {}, "values": {"nodata": -1.0}}.get(kind, {"mask": hole | True})
    found, valid = masked(make_raster(pixels, **how))
    assert found == kind
    np.testing.assert_array_equal(valid, hole)


@pytest.mark.fault("A nodata value that the file's type cannot hold.", "All pixels hold data.")
def test_a_nodata_value_that_the_type_cannot_hold(
    make_raster: MakeRaster, image: np.ndarray
) -> None:
    assert masked(make_raster(image[:3].astype(np.uint16), nodata=-9999))[1].all()


@pytest.mark.fault(
    "An image with black borders and without a nodata value.",
    "The borders are mapped, as nothing marks them.",
)
def test_no_mark_at_all(make_raster: MakeRaster, image: np.ndarray) -> None:
    image[:, :10] = 0
    kind, valid = masked(make_raster(image[:3]))
    assert kind == "none"
    assert valid.all()


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


@pytest.mark.usefixtures("session")
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
