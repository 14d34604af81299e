"""Raw values to 0-1: one scale for the whole raster, nodata filled, edges mirrored."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from scasnet_qgis.tiling.scaling import Scaling, mirror_pad
from scasnet_qgis.tiling.windows import Window


def scaling(low: float, high: float, bands: int = 1) -> Scaling:
    return Scaling((low,) * bands, (high,) * bands, (0.4,) * bands, "")


def test_8_bit_values() -> None:
    raw = np.array([[[0, 51, 255]]], dtype=np.uint8)
    scaled = scaling(0, 255)(raw, None)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0.0, 0.2, 1.0]]], atol=1e-6)
    assert raw.tolist() == [[[0, 51, 255]]], "the input is left alone"


def test_uint16_values_beyond_the_limits_are_clipped() -> None:
    raw = np.array([[[0, 200, 1200, 2200, 65535]]], dtype=np.uint16)
    np.testing.assert_allclose(scaling(200, 2200)(raw, None), [[[0, 0, 0.5, 1, 1]]], atol=1e-6)


def test_each_band_has_its_own_limits() -> None:
    scaling = Scaling((0.0, 100.0), (10.0, 300.0), (0.0, 0.0), "")
    raw = np.array([[[5]], [[200]]], dtype=np.int16)
    np.testing.assert_allclose(scaling(raw, None), [[[0.5]], [[0.5]]])


def test_nan_and_infinity_are_no_values() -> None:
    raw = np.array([[[np.nan, 1.0, np.inf, -np.inf]]], dtype=np.float64)
    np.testing.assert_allclose(scaling(0, 2)(raw, None), [[[0.4, 0.5, 0.4, 0.4]]], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "bits", "low", "expected"),
    [
        (np.float32, 0x7FA00000, 0, 0.4),
        (np.float32, 0x7FA00000, 1, 0.4),
        (np.float64, 0x7FF4000000000000, 0, 0.4),
        (np.float64, 0x7E37E43C8800759C, 0, 1),  # 1e300, more than 32 bits hold
        (np.float64, 0xFE37E43C8800759C, 1, 0),  # -1e300
    ],
)
def test_odd_numbers_set_off_no_warning(kind: type, bits: int, low: float, expected: float) -> None:
    """Files may hold signalling NaN, which makes a processor speak up where it reckons."""
    whole = np.array([[[bits]]], dtype=f"u{np.dtype(kind).itemsize}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = scaling(low, 2)(whole.view(kind), None)
    np.testing.assert_allclose(scaled, [[[expected]]], atol=1e-6)


def test_pixels_without_data_hold_the_fill() -> None:
    scaling = Scaling((0.0, 0.0), (255.0, 255.0), (0.4, 0.6), "")
    raw = np.full((2, 1, 2), 255, dtype=np.uint8)
    scaled = scaling(raw, np.array([[True, False]]))
    np.testing.assert_allclose(scaled, [[[1.0, 0.4]], [[1.0, 0.6]]], atol=1e-6)


def test_limits_that_are_equal_divide_by_nothing() -> None:
    assert np.isfinite(scaling(7, 7)(np.array([[[7, 8]]], dtype=np.uint8), None)).all()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_padding_mirrors_also_beyond_the_raster_s_size(size: int) -> None:
    pixels = np.arange(size, dtype=np.float32)[None, None, :]
    have, want = Window(0, 0, 1, size), Window(-3, -7, 9, size + 16)
    padded = mirror_pad(pixels, have, want)
    assert padded.shape == (1, 9, size + 16)
    period = np.concatenate([pixels[0, 0], pixels[0, 0, ::-1]])
    expected = [period[col % (2 * size)] for col in range(-7, size + 9)]
    np.testing.assert_array_equal(padded[0], np.tile(expected, (9, 1)))


def test_nothing_to_pad() -> None:
    pixels = np.zeros((3, 4, 5), dtype=np.float32)
    window = Window(7, 8, 4, 5)
    assert mirror_pad(pixels, window, window) is pixels


def test_the_result_goes_where_it_is_wanted() -> None:
    room = np.full((1, 2, 5), 9.0, dtype=np.float32)
    scaling(0, 255)(np.array([[[0, 255, 51]]], dtype=np.uint8), None, room[:, 1:, 1:4])
    np.testing.assert_allclose(room, [[[9] * 5, [9, 0, 1, 0.2, 9]]], atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_a_model_that_scales_itself_gets_raw_values_and_a_fill(kind: type) -> None:
    """The fill becomes, by the model's own scaling, what it would have been outside."""
    scaling = Scaling((10.0, 0.0), (110.0, 50.0), (0.4, 0.6), "")
    raw = np.array([[[12, 99]], [[7, 8]]], dtype=kind)
    room = np.empty_like(raw)
    scaling.filled(raw, np.array([[True, False]]), room)
    assert room.dtype == kind
    np.testing.assert_allclose(room, [[[12, 50]], [[7, 30]]], atol=1e-5)
    np.testing.assert_allclose(
        scaling(room, None), scaling(raw, np.array([[True, False]])), atol=1e-6
    )


def test_nan_is_filled_in_raw_values_too() -> None:
    room = np.empty((1, 1, 2), dtype=np.float32)
    scaling(0, 2).filled(np.array([[[np.nan, 1.5]]], dtype=np.float32), None, room)
    np.testing.assert_allclose(room, [[[0.8, 1.5]]], atol=1e-6)


def test_a_fill_beyond_the_type_is_the_nearest_that_it_holds() -> None:
    """As in an 8-bit image for a model of values up to 10,000."""
    room = np.empty((1, 1, 2), dtype=np.uint8)
    wide = Scaling((0.0,), (10_000.0,), (0.5,), "")
    wide.filled(np.array([[[1, 2]]], dtype=np.uint8), np.array([[True, False]]), room)
    assert room.tolist() == [[[1, 255]]]
