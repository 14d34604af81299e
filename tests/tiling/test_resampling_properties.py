"""What must hold of any resizing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.resampling import resize

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size).random((1, 2, *size), dtype=np.float32)


@settings(max_examples=80, deadline=None)
@given(sizes, sizes)
def test_each_value_is_a_mean(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Weights add up to one and are not negative: nothing lies beyond what was there."""
    image = noise(before)
    result = resize(image, *after)
    assert result.shape == (1, 2, *after)
    assert result.dtype == np.float32
    assert (result >= image.min(axis=(2, 3), keepdims=True) - 1e-6).all()
    assert (result <= image.max(axis=(2, 3), keepdims=True) + 1e-6).all()
    constant = resize(np.full_like(image, 0.7), *after)
    np.testing.assert_allclose(constant, 0.7, atol=1e-6)


@settings(max_examples=80, deadline=None)
@given(sizes, sizes)
def test_flips_and_turns_make_no_difference(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    image = noise(before)
    expected = resize(image, *after)
    upside_down = resize(image[:, :, ::-1], *after)[:, :, ::-1]
    mirrored = resize(image[..., ::-1], *after)[..., ::-1]
    turned = resize(image.swapaxes(2, 3), *after[::-1]).swapaxes(2, 3)
    for result in (upside_down, mirrored, turned):
        np.testing.assert_allclose(result, expected, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 6), st.integers(1, 6))
def test_the_mean_stays_where_it_grows_by_whole_numbers(
    before: tuple[int, int], down: int, right: int
) -> None:
    """Each pixel then goes into the new ones with the same weight, but for the edges."""
    image = np.zeros((1, 1, before[0] + 4, before[1] + 4), dtype=np.float32)
    image[:, :, 2:-2, 2:-2] = noise(before)[:, :1]
    result = resize(image, image.shape[2] * down, image.shape[3] * right)
    np.testing.assert_allclose(result.mean(), image.mean(), rtol=1e-4)
