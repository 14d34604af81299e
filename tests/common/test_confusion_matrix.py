"""Measures of a confusion matrix, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import SettingError


def test_windows_add_up_to_the_whole() -> None:
    first, second = np.random.default_rng(1).integers(0, 5, (2, 40, 30))
    whole = ConfusionMatrix.of(first, second, 5)
    parts = [
        ConfusionMatrix.of(first[at : at + 7], second[at : at + 7], 5) for at in range(0, 40, 7)
    ]
    total = sum(parts, ConfusionMatrix.empty(5))
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert whole.counts.sum() == 1200


# QGIS shows warnings to the user.
@pytest.mark.filterwarnings("error")
def test_nothing_compared_is_not_a_number() -> None:
    matrix = ConfusionMatrix.empty(3)
    assert matrix.counts.dtype == np.int64
    assert matrix.counts.shape == (3, 3)
    assert matrix.total == 0
    assert np.isnan([matrix.overall_accuracy, matrix.mean_iou, matrix.mean_precision]).all()
    assert np.isnan([matrix.iou, matrix.precision, matrix.recall, matrix.f1]).all()


@pytest.mark.parametrize(("reference", "mapped"), [(-1, 0), (2, 0), (255, 0), (0, -1), (0, 2)])
def test_what_is_outside_the_classes_is_left_out(reference, mapped) -> None:
    """Counted, it would look like another pair of classes."""
    pair = np.array([reference, 1]), np.array([mapped, 1])
    assert ConfusionMatrix.of(*pair, 2).counts.tolist() == [[0, 0], [0, 1]]


def test_windows_of_two_sizes_are_refused() -> None:
    with pytest.raises(SettingError, match=r"\(2, 3\).*\(3, 2\)"):
        ConfusionMatrix.of(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)


@pytest.mark.parametrize("seed", range(4))
def test_all_measures_agree_with_scikit_learn(seed) -> None:
    """Class 3 is never mapped, class 4 is not in the reference, class 5 on neither side."""
    generator = np.random.default_rng(seed)
    reference = generator.choice([0, 1, 2, 3], 500, p=[0.6, 0.2, 0.15, 0.05])
    mapped = np.where(generator.random(500) < 0.7, reference, generator.integers(0, 5, 500))
    mapped[mapped == 3] = 0
    matrix = ConfusionMatrix.of(reference.astype(np.uint8), mapped, 6)
    labels = list(range(6))
    expected = metrics.confusion_matrix(reference, mapped, labels=labels)
    np.testing.assert_array_equal(matrix.counts, expected)
    assert matrix.total == 500
    assert matrix.overall_accuracy == pytest.approx(metrics.accuracy_score(reference, mapped))
    assert matrix.kappa == pytest.approx(metrics.cohen_kappa_score(reference, mapped))
    how = {"labels": labels, "zero_division": np.nan}
    scores = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
    }
    for name, score in scores.items():
        by_class = score(reference, mapped, average=None, **how)
        np.testing.assert_allclose(getattr(matrix, name), by_class, err_msg=name)
        mean = score(reference, mapped, average="macro", **how)
        assert getattr(matrix, f"mean_{name}") == pytest.approx(mean), name
    occurring = [0, 1, 2, 3, 4]
    iou = metrics.jaccard_score(reference, mapped, labels=occurring, average=None)
    np.testing.assert_allclose(matrix.iou, [*iou, np.nan])
    assert matrix.mean_iou == pytest.approx(iou.mean())
    assert np.isnan(matrix.precision[3])
    assert matrix.recall[3] == 0
    assert np.isnan(matrix.recall[4])
    assert matrix.f1[3] == matrix.f1[4] == 0


def test_kappa_of_one_class_only_is_not_a_number() -> None:
    assert np.isnan(ConfusionMatrix.of(np.zeros(9, int), np.zeros(9, int), 2).kappa)
    assert np.isnan(ConfusionMatrix.empty(2).kappa)


def test_kappa_of_counts_beyond_32_bits() -> None:
    counts = np.array([[3, 1], [1, 3]], dtype=np.int64)
    huge = ConfusionMatrix(counts * 10**10)
    assert huge.kappa == pytest.approx(ConfusionMatrix(counts).kappa) == pytest.approx(0.5)
    assert huge.overall_accuracy == 0.75
