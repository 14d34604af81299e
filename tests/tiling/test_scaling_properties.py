"""Scaling of any values and limits, against the formula written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scasnet_qgis.tiling.scaling import Scaling, mirror_pad, window_slices
from scasnet_qgis.tiling.windows import Window

KINDS = (np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64)
shares = st.floats(0, 1, width=32)


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    lows = draw(st.lists(st.integers(-300, 300).map(float), min_size=2, max_size=2))
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
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.integers(0, 15), min_size=4, max_size=4),
)
def test_padding_mirrors_at_every_edge(rows: int, cols: int, margins: list[int]) -> None:
    """And what was there is found again where ``window_slices`` says."""
    top, bottom, left, right = margins
    pixels = np.random.default_rng(rows * 7 + cols).random((2, rows, cols), dtype=np.float32)
    have = Window(30, 40, rows, cols)
    want = Window(30 - top, 40 - left, rows + top + bottom, cols + left + right)
    padded = mirror_pad(pixels, have, want)
    np.testing.assert_array_equal(padded[window_slices(have, want)], pixels)
    for row in range(want.rows):
        place = (row - top) % (2 * rows)
        source = min(place, 2 * rows - 1 - place)
        np.testing.assert_array_equal(
            padded[:, row, left : left + cols], pixels[:, source], f"row {row}"
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.sampled_from([0.25, 0.75]))
def test_reflectance_in_shares(values: list[float], high: float) -> None:
    raw = np.array([[values]], dtype=np.float32)
    expected = np.clip(raw / high, 0, 1)
    scaled = Scaling((0.0,), (high,), (0.0,), "")(raw, None)
    np.testing.assert_allclose(scaled, expected, atol=1e-6)
