"""Stratified samples: how many points, and the estimators against a published example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scasnet_qgis.accuracy.area_estimation import allocate, area_adjusted, draw_ranks, sample_size
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import SettingError

# Olofsson et al. 2014, table 8: rows are the map, columns the reference; deforestation, forest
# gain, stable forest, stable other.
POINTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
HECTARES = 0.09  # of a pixel


def example():
    return area_adjusted(ConfusionMatrix(POINTS.T), PIXELS)


def simple(wrong: int = 0):
    """Two strata of 10 points each, of 900 and 100 pixels."""
    counts = np.array([[10 - wrong, wrong], [0, 10]])
    return area_adjusted(ConfusionMatrix(counts.T), (900, 100))


def test_published_example_area_of_deforestation() -> None:
    share = example().shares[0]
    whole = sum(PIXELS)
    assert round(share.value * whole) == 235_086
    assert round(share.half_width * whole) == 68_418
    assert round(share.value * whole * HECTARES) == 21_158
    assert round(share.half_width * whole * HECTARES) == 6_158


def test_published_example_accuracies() -> None:
    result = example()
    assert result.overall.value == pytest.approx(0.947, abs=5e-4)
    assert result.overall.half_width == pytest.approx(0.0185, abs=5e-5)
    users = [round(estimate.value, 2) for estimate in result.users]
    assert users == [0.88, 0.73, 0.93, 0.96]
    assert [round(estimate.half_width, 2) for estimate in result.users] == [0.07, 0.10, 0.04, 0.02]
    producers = [round(estimate.value, 2) for estimate in result.producers]
    assert producers == [0.75, 0.85, 0.93, 0.96]
    assert round(result.producers[0].half_width, 2) == 0.21
    assert sum(estimate.value for estimate in result.shares) == pytest.approx(1)


def test_estimators_by_hand() -> None:
    """One of 10 points in the large stratum is wrong."""
    result = simple(wrong=1)
    assert result.overall.value == pytest.approx(0.9 * 0.9 + 0.1)
    assert result.overall.standard_error == pytest.approx(0.9 * (0.09 / 9) ** 0.5)
    assert result.users[0].standard_error == pytest.approx((0.09 / 9) ** 0.5)
    assert result.producers[1].value == pytest.approx(0.1 / 0.19)
    # Equation 7, in pixels: the class has 190, its own stratum is without variance.
    variance = (0.1 / 0.19) ** 2 * 900**2 * 0.1 * 0.9 / 9 / 190**2
    assert result.producers[1].standard_error == pytest.approx(variance**0.5)
    assert result.shares[1].value == pytest.approx(0.19)
    assert result.shares[1].standard_error == pytest.approx(0.9 * (0.09 / 9) ** 0.5)


def test_both_strata_count_in_a_producer_s_error() -> None:
    """Equation 7 by hand, for two strata of half of the map each."""
    result = area_adjusted(ConfusionMatrix(np.array([[8, 4], [2, 6]])), (50, 50))
    own, other = 0.25 * 0.8 * 0.2 / 9, 0.25 * 0.4 * 0.6 / 9
    variance = (own * (1 / 3) ** 2 + (2 / 3) ** 2 * other) / 0.6**2
    assert result.producers[0].value == pytest.approx(2 / 3)
    assert result.producers[0].standard_error == pytest.approx(variance**0.5)


def test_the_errors_are_those_of_repeated_samples() -> None:
    """Equations 5, 7 and 10 against the spread over many samples of one known map."""
    generator = np.random.default_rng(3)
    truth = np.array([[0.9, 0.1], [0.3, 0.7]])  # of each stratum, shares of the reference classes
    pixels, points = (6000, 4000), 200
    found = []
    for _ in range(2000):
        rows = [generator.multinomial(points, probabilities) for probabilities in truth]
        result = area_adjusted(ConfusionMatrix(np.array(rows).T), pixels)
        values = (result.overall, result.producers[0], result.producers[1], result.shares[0])
        found.append([(estimate.value, estimate.standard_error) for estimate in values])
    values, errors = np.moveaxis(np.array(found), 2, 0)
    known = [0.82, 0.54 / 0.66, 0.28 / 0.34, 0.66]
    np.testing.assert_allclose(values.mean(axis=0), known, rtol=0.01)
    np.testing.assert_allclose(errors.mean(axis=0), values.std(axis=0), rtol=0.05)


def test_one_point_in_a_class_gives_values_without_errors() -> None:
    counts = np.array([[1, 0], [2, 8]])
    result = area_adjusted(ConfusionMatrix(counts.T), (50, 50))
    assert result.users[0].value == 1
    assert np.isnan(result.users[0].standard_error)
    assert np.isnan(result.overall.standard_error)
    assert result.overall.value == pytest.approx(0.9)
    assert not np.isnan(result.users[1].standard_error)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_without_pixels_or_points_says_nothing_and_harms_nothing(absent) -> None:
    there = [index for index in range(3) if index != absent]
    counts, pixels = np.zeros((3, 3), dtype=int), np.zeros(3, dtype=int)
    counts[np.ix_(there, there)], pixels[there] = [[9, 1], [0, 10]], (900, 100)
    result, expected = area_adjusted(ConfusionMatrix(counts.T), pixels), simple(wrong=1)
    assert result.overall == expected.overall
    for name in ("users", "producers", "shares"):
        found = getattr(result, name)
        assert tuple(found[index] for index in there) == getattr(expected, name)
    assert result.shares[absent].value == 0
    for estimate in (result.users[absent], result.producers[absent]):
        assert np.isnan([estimate.value, estimate.standard_error, estimate.half_width]).all()


def test_one_point_in_a_class_without_pixels_spoils_nothing_else() -> None:
    """As where the map was replaced by one on which the class is gone."""
    counts = np.zeros((3, 3), dtype=int)
    counts[:2, :2] = [[9, 1], [0, 10]]
    counts[2, 2] = 1
    result = area_adjusted(ConfusionMatrix(counts.T), (900, 100, 0))
    assert (result.users[2].value, result.shares[2].value) == (1, 0)
    assert np.isnan(result.users[2].standard_error)
    assert result.overall == simple(wrong=1).overall
    assert result.shares[:2] == simple(wrong=1).shares


def test_two_points_are_enough_for_an_error() -> None:
    result = area_adjusted(ConfusionMatrix(np.array([[1, 0], [1, 8]])), (50, 50))
    assert result.users[0].value == 0.5
    assert result.users[0].standard_error == pytest.approx(0.5)
    assert result.overall.standard_error == pytest.approx(0.25)


def test_a_map_of_a_single_class_is_right_everywhere() -> None:
    result = area_adjusted(ConfusionMatrix(np.array([[5, 0], [0, 0]])), (70, 0))
    for estimate in (result.overall, result.users[0], result.producers[0], result.shares[0]):
        assert (estimate.value, estimate.standard_error) == (1, 0)


def test_a_class_that_is_not_on_the_map_but_on_the_ground_is_found() -> None:
    counts = np.array([[8, 2], [0, 0]])
    result = area_adjusted(ConfusionMatrix(counts.T), (1000, 0))
    assert result.shares[1].value == pytest.approx(0.2)
    assert result.producers[1].value == 0
    assert result.producers[1].standard_error == 0


@pytest.mark.parametrize("pixels", [(900, 100), (900, 1), (0, 0), (900,)])
def test_a_class_of_the_map_without_a_point_is_refused(pixels) -> None:
    matrix = ConfusionMatrix(np.array([[5, 0], [1, 0]]))
    with pytest.raises(SettingError):
        area_adjusted(matrix, pixels)


def test_published_example_sample_size() -> None:
    """Olofsson et al. 2014, 5.1: user's accuracies 0.7, 0.6, 0.9, 0.95 and S = 0.01 give 641.

    With one expected accuracy for all classes it is W S / S(O) squared.
    """
    assert sample_size(0.9, 0.01, 10**9) == 900
    assert sample_size(0.5, 0.05, 10**9) == 100
    assert sample_size(0.9, 0.01, 900) == 450, "a small map needs fewer"
    assert sample_size(0.9, 0.01, 1) == 1


def test_shares_by_area_with_a_least_number() -> None:
    assert allocate([1000, 3000, 6000], 100, 2) == [10, 30, 60]
    assert allocate(PIXELS, 640, 75) == [75, 75, 162, 328]
    assert allocate([10, 0, 990], 100, 50) == [10, 0, 90], "no more than there are"
    assert allocate([5, 5], 100, 2) == [5, 5]


def test_too_few_points_for_the_least_number() -> None:
    with pytest.raises(SettingError) as caught:
        allocate([1000, 0, 1000], 99, 50)
    assert list(caught.value.message.values.values()) == [99, 2, 50, 100]


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.integers(0, 3000),
    st.integers(2, 100),
)
def test_allocation_keeps_its_promises(pixels, more, least) -> None:
    total = sum(min(least, count) for count in pixels) + more
    points = allocate(pixels, total, least)
    assert sum(points) == min(total, sum(pixels))
    assert all(min(least, n) <= p <= n for p, n in zip(points, pixels))


def test_ranks_are_different_sorted_and_everywhere_alike() -> None:
    generator = np.random.default_rng(1)
    hits = np.zeros(20, dtype=int)
    for _ in range(2000):
        ranks = draw_ranks(20, 5, generator)
        assert (np.diff(ranks) > 0).all()
        hits[ranks] += 1
    assert abs(hits - 500).max() < 100  # 5 standard deviations
    huge = draw_ranks(10**14, 1000, generator)
    assert len(set(huge.tolist())) == 1000
    assert huge.max() < 10**14
