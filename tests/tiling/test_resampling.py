"""Two grids over the same ground: what pixels are made of, and between which ones they lie."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scasnet_qgis.tiling.resampling import AxisResampling, nearest_two, resize, taps

lengths = st.integers(1, 120)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None, max_examples=50)
@given(lengths, lengths)
def test_weights_add_up_to_one(here: int, there: int) -> None:
    places, weights = taps(0, here, here, there)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    assert weights.min() >= 0
    assert 0 <= places.min() <= places.max() < there


@settings(deadline=None, max_examples=50)
@given(lengths, lengths, st.booleans(), st.data())
def test_a_part_is_made_as_in_the_whole(
    here: int, there: int, cubic: bool, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, here - 1))
    count = data.draw(st.integers(1, here - first))
    values = np.random.default_rng(1).random(there)

    def made(first: int, count: int) -> np.ndarray:
        places, weights = taps(first, count, here, there, cubic=cubic)
        assert (places.dtype, weights.dtype) == (np.intp, np.float32)
        return (values[places] * weights).sum(axis=0)

    np.testing.assert_allclose(made(first, count), made(0, here)[first : first + count], atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(lengths, lengths)
def test_larger_pixels_are_means_of_what_they_cover(here: int, there: int) -> None:
    """The mean over the whole axis stays what it is."""
    if here < there:
        values = np.random.default_rng(2).random(there)
        places, weights = taps(0, here, here, there)
        means = (values[places] * weights).sum(axis=0)
        assert means.mean() == pytest.approx(values.mean(), abs=1e-5)


def test_parts_of_pixels_count_by_what_is_covered() -> None:
    places, weights = taps(0, 2, 2, 5)
    found = np.zeros((2, 5))
    for tap in range(len(places)):
        for pixel in range(2):
            found[pixel, places[tap, pixel]] += weights[tap, pixel]
    np.testing.assert_allclose(found, [[0.4, 0.4, 0.2, 0, 0], [0, 0, 0.2, 0.4, 0.4]], atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(lengths, lengths)
def test_a_centre_lies_between_the_two(here: int, there: int) -> None:
    before, behind, share = nearest_two(0, here, here, there)
    assert (before.dtype, behind.dtype, share.dtype) == (np.intp, np.intp, np.float32)
    for index in range(here):
        place = Fraction(2 * index + 1, 2 * here) * there - Fraction(1, 2)
        place = min(max(place, Fraction(0)), Fraction(there - 1))
        found = before[index] + Fraction(float(share[index]))
        assert abs(found - place) < Fraction(1, 10**5)
        assert behind[index] - before[index] == (share[index] > 0)


@settings(deadline=None, max_examples=50)
@given(lengths, lengths, st.data())
def test_what_is_seen_of_a_part_is_what_its_pixels_lie_between(
    own: int, seen: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, own - 1))
    link = AxisResampling(own, seen, start, data.draw(st.integers(1, own - start)))
    before, behind, _ = link.neighbours(0, link.count)
    assert (before[0], behind[-1]) == (0, link.target_count - 1)
    assert link.target_start >= 0
    assert link.target_start + link.target_count <= seen
    first = data.draw(st.integers(0, link.count - 1))
    count = data.draw(st.integers(1, link.count - first))
    part = link.neighbours(first, count)
    assert link.needed(first, count) == (part[0].min(), part[1].max() + 1)


@settings(deadline=None, max_examples=50)
@given(lengths, lengths, st.data())
def test_touching_leaves_out_no_pixel(own: int, seen: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, seen - 1))
    end = data.draw(st.integers(first + 1, seen))
    before, behind, _ = nearest_two(0, own, own, seen)
    beside = np.flatnonzero((before < end) & (behind >= first))
    start, stop = AxisResampling(own, seen, 0, own).touching(first, end)
    if beside.size:
        assert start <= beside[0]
        assert stop > beside[-1]
        assert beside[0] - start <= 1
        assert stop - beside[-1] <= 2
        assert isinstance(stop, int)


@settings(deadline=None, max_examples=50)
@given(lengths, lengths)
def test_a_cubic_curve_goes_through_a_line(here: int, there: int) -> None:
    """Away from the ends, where a line does not go on; and nothing changes where pixels grow."""
    places, weights = taps(0, here, here, there, cubic=True)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    assert 0 <= places.min() <= places.max() < there
    if here <= there:
        np.testing.assert_array_equal(weights, taps(0, here, here, there)[1])
    else:
        found = (places * weights).sum(axis=0)
        centres = (np.arange(here) + 0.5) * there / here - 0.5
        inner = (centres > 1) & (centres < there - 2)
        np.testing.assert_allclose(found[inner], centres[inner], atol=1e-4)


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, rows, cols), dtype=np.float32)


@pytest.mark.parametrize(
    ("before", "after"),
    [((33, 47), (70, 55)), ((64, 80), (48, 60)), ((64, 80), (17, 90)), ((5, 7), (1, 1))],
)
def test_as_pytorch_does(before: tuple[int, int], after: tuple[int, int]) -> None:
    image = noise(*before)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image), after, mode="bilinear", antialias=True, align_corners=False
    )
    result = resize(image, *after)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-5)


def test_nothing_moves() -> None:
    """A slope stays where it is, but for the outermost pixels: no part of a pixel is lost."""
    slope = np.tile(np.arange(64, dtype=np.float32) + 0.5, (1, 1, 64, 1))
    for size in (32, 48, 96, 128):
        result = resize(slope, 64, size)[0, 0, 0]
        expected = (np.arange(size) + 0.5) * 64 / size
        shift = (result - expected)[4:-4]
        assert np.abs(shift).max() < 0.1  # pixels
        assert abs(shift.mean()) < 1e-3


def test_fine_patterns_are_smoothed_where_it_shrinks() -> None:
    stripes = np.tile(np.float32([0, 1]), (1, 1, 64, 32))
    inner = resize(stripes, 32, 32)[0, 0, 2:-2, 2:-2]
    np.testing.assert_allclose(inner, 0.5, atol=1e-6)


def test_the_same_size_is_the_same_array() -> None:
    image = noise(9, 8)
    assert resize(image, 9, 8) is image


@settings(max_examples=80, deadline=None)
@given(sizes, sizes)
def test_each_value_is_a_mean(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Weights add up to one and are not negative: nothing lies beyond what was there."""
    image = noise(*before)
    result = resize(image, *after)
    assert result.shape == (2, 3, *after)
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
    image = noise(*before)
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
    image[:, :, 2:-2, 2:-2] = noise(*before)[:1, :1]
    result = resize(image, image.shape[2] * down, image.shape[3] * right)
    np.testing.assert_allclose(result.mean(), image.mean(), rtol=1e-4)
