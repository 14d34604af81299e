"""Raw values to 0-1: one scale for the whole raster, nodata filled, edges mirrored."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scasnet_qgis.tiling.scaling import Scaling, mirror_pad, window_slices
from scasnet_qgis.tiling.windows import Window


def scaling(low: float, high: float) -> Scaling:
    return Scaling((low,), (high,), (0.4,), "")


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


def test_limits_that_are_equal_divide_by_nothing() -> None:
    assert np.isfinite(scaling(7, 7)(np.array([[[7, 8]]], dtype=np.uint8), None)).all()


def test_nothing_to_pad() -> None:
    pixels = np.zeros((3, 4, 5), dtype=np.float32)
    window = Window(7, 8, 4, 5)
    assert mirror_pad(pixels, window, window) is pixels


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


KINDS = (np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64)
shares = st.floats(0, 1, width=32)


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    low = st.integers(-300, 300).map(float)
    lows = draw(st.just([0.0, 0.0]) | st.lists(low, min_size=2, max_size=2))
    # Reflectance is often written as shares, so a span may well be less than 1.
    span = st.integers(1, 20_000).map(float) | st.sampled_from([0.125, 0.5])
    spans = draw(st.lists(span, min_size=2, max_size=2))
    highs = tuple(low + span for low, span in zip(lows, spans))
    return Scaling(tuple(lows), highs, (draw(shares), draw(shares)), "")


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    kind = draw(st.sampled_from(KINDS))
    shape = (2, draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        values = st.integers(int(limits.min), int(limits.max))
    else:
        values = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
    return draw(arrays(kind, shape, elements=values))


def by_hand(raw: np.ndarray, valid: np.ndarray | None, how: Scaling) -> np.ndarray:
    result = np.empty(raw.shape)
    for index, plane in enumerate(raw.astype(np.float64)):
        low, high = how.low[index], how.high[index]
        result[index] = np.clip((plane - low) / (high - low), 0, 1)
        result[index][np.isnan(plane)] = how.fill[index]
        if valid is not None:
            result[index][~valid] = how.fill[index]
    return result


@settings(max_examples=150, deadline=None)
@given(scalings(), images(), st.data())
def test_as_the_formula_says(how: Scaling, raw: np.ndarray, data: st.DataObject) -> None:
    valid = data.draw(st.none() | arrays(bool, raw.shape[1:]))
    before = raw.copy()
    scaled = how(raw, valid)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    np.testing.assert_allclose(scaled, by_hand(raw, valid, how), atol=2e-5)
    np.testing.assert_array_equal(raw, before, "what was read is left alone")
    room = np.full((2, raw.shape[1] + 2, raw.shape[2]), 7, dtype=np.float32)
    assert how(raw, valid, room[:, 1:-1]).base is not None
    np.testing.assert_array_equal(room[:, 1:-1], scaled)
    assert (room[:, [0, -1]] == 7).all()


@settings(max_examples=100, deadline=None)
@given(scalings(), images(), st.data())
def test_a_model_that_scales_itself_sees_the_same(
    how: Scaling, raw: np.ndarray, data: st.DataObject
) -> None:
    """But for a fill between two whole numbers, or beyond what their type holds."""
    valid = data.draw(arrays(bool, raw.shape[1:]))
    room = np.empty_like(raw)
    how.filled(raw, valid, room)
    kept = valid & ~np.isnan(raw.astype(np.float64)).any(axis=0)
    np.testing.assert_array_equal(room[:, kept], raw[:, kept])
    for index, plane in enumerate(room):
        low, high = how.low[index], how.high[index]
        wanted = low + how.fill[index] * (high - low)
        if np.issubdtype(raw.dtype, np.integer):
            limits = np.iinfo(raw.dtype)
            wanted = min(max(wanted, limits.min), limits.max)
            assert (abs(plane[~valid].astype(float) - wanted) <= 0.5).all()
        else:
            np.testing.assert_allclose(plane[~valid], wanted, rtol=1e-6, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.integers(0, 15), min_size=4, max_size=4))
def test_padding_mirrors_at_every_edge(rows: int, cols: int, margins: list[int]) -> None:
    """And what was there is found again where ``window_slices`` says."""
    top, bottom, left, right = margins
    pixels = np.random.default_rng(rows * 7 + cols).random((2, rows, cols), dtype=np.float32)
    have = Window(30, 40, rows, cols)
    want = Window(30 - top, 40 - left, rows + top + bottom, cols + left + right)
    padded = mirror_pad(pixels, have, want)
    np.testing.assert_array_equal(padded[window_slices(have, want)], pixels)
    down, across = [*range(rows), *range(rows)[::-1]], [*range(cols), *range(cols)[::-1]]
    from_rows = [down[row % len(down)] for row in range(-top, rows + bottom)]
    from_cols = [across[col % len(across)] for col in range(-left, cols + right)]
    np.testing.assert_array_equal(padded, pixels[:, from_rows][:, :, from_cols])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.sampled_from([0.25, 0.75]))
def test_reflectance_in_shares(values: list[float], high: float) -> None:
    raw = np.array([[values]], dtype=np.float32)
    expected = np.clip(raw / high, 0, 1)
    scaled = Scaling((0.0,), (high,), (0.0,), "")(raw, None)
    np.testing.assert_allclose(scaled, expected, atol=1e-6)
