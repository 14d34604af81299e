"""Measures of a confusion matrix, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.core.errors import SettingError

REFERENCE = np.array([0, 0, 0, 1, 1, 2], dtype=np.uint8)
MAPPED = np.array([0, 0, 1, 1, 2, 2], dtype=np.int64)


def test_counts_rows_are_the_reference() -> None:
    matrix = ConfusionMatrix.of(REFERENCE, MAPPED, 4)
    expected = [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert matrix.counts.tolist() == expected


def test_measures() -> None:
    matrix = ConfusionMatrix.of(REFERENCE, MAPPED, 4)
    assert matrix.overall_accuracy == pytest.approx(4 / 6)
    np.testing.assert_allclose(matrix.iou, [2 / 3, 1 / 3, 1 / 2, np.nan])
    assert matrix.mean_iou == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3)


def test_a_class_mapped_but_never_there_counts_as_missed() -> None:
    matrix = ConfusionMatrix.of(np.array([0, 0]), np.array([0, 1]), 2)
    np.testing.assert_allclose(matrix.iou, [0.5, 0.0])


def test_ignored_pixels_are_left_out() -> None:
    reference = np.array([0, 255, 1, 1], dtype=np.uint8)
    mapped = np.array([0, 0, -1, 1], dtype=np.int16)
    assert ConfusionMatrix.of(reference, mapped, 2).counts.tolist() == [[1, 0], [0, 1]]


def test_windows_add_up_to_the_whole() -> None:
    first, second = np.random.default_rng(1).integers(0, 5, (2, 40, 30))
    whole = ConfusionMatrix.of(first, second, 5)
    parts = [
        ConfusionMatrix.of(first[at : at + 7], second[at : at + 7], 5) for at in range(0, 40, 7)
    ]
    total = sum(parts, ConfusionMatrix.empty(5))
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert whole.counts.sum() == 1200


def test_nothing_compared_is_not_a_number() -> None:
    matrix = ConfusionMatrix.empty(3)
    assert np.isnan(matrix.overall_accuracy)
    assert np.isnan(matrix.mean_iou)


def test_windows_of_two_sizes_are_refused() -> None:
    with pytest.raises(SettingError, match="one size"):
        ConfusionMatrix.of(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
