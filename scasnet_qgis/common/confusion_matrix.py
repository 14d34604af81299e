"""Accuracy of a map against a reference, from the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts[i, j]: pixels whose reference class is i and whose mapped class is j."""

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> ConfusionMatrix:
        return cls(np.zeros((classes, classes), dtype=np.int64))

    @classmethod
    def of(
        cls, reference: NDArray[np.integer[Any]], mapped: NDArray[np.integer[Any]], classes: int
    ) -> ConfusionMatrix:
        """Count pairs of class indices of one shape, without those outside 0 ... classes - 1."""
        if reference.shape != mapped.shape:
            raise SettingError(
                translate(
                    "ScasNet",
                    "The reference has {reference} pixels and the map {mapped}: compare windows of "
                    "one size.",
                ),
                reference=reference.shape,
                mapped=mapped.shape,
            )
        first = reference.astype(np.int64).ravel()
        second = mapped.astype(np.int64).ravel()
        inside = (first >= 0) & (first < classes) & (second >= 0) & (second < classes)
        pairs = first[inside] * classes + second[inside]
        return cls(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        return ConfusionMatrix(self.counts + other.counts)

    @property
    def total(self) -> int:
        """How many pixels (or points) were compared."""
        return int(self.counts.sum())

    @property
    def in_reference(self) -> NDArray[np.int64]:
        """Pixels of each class in the reference."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def in_map(self) -> NDArray[np.int64]:
        """Pixels of each class in the map, of those that were compared."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def correct(self) -> NDArray[np.int64]:
        """Pixels of each class that are the same on both sides."""
        return np.diag(self.counts).copy()

    @property
    def overall_accuracy(self) -> float:
        """Share of pixels mapped as their reference class; NaN where there are none."""
        return float(self.correct.sum() / self.total) if self.total else float("nan")

    @property
    def kappa(self) -> float:
        """Cohen's kappa, (p - e) / (1 - e) with the agreement e that chance alone would give.

        NaN where there are no pixels, or where both sides hold one and the same class only
        (Cohen 1960, Educational and Psychological Measurement 20, 37-46).
        """
        if not self.total:
            return float("nan")
        sides = self.in_reference.astype(np.float64) * self.in_map.astype(np.float64)
        chance = float(sides.sum()) / float(self.total) ** 2
        return (self.overall_accuracy - chance) / (1.0 - chance) if chance < 1.0 else float("nan")

    @property
    def precision(self) -> NDArray[np.float64]:
        """User's accuracy: share of what is mapped as a class that is it; NaN where none is."""
        return _ratio(self.correct, self.in_map)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Producer's accuracy: share of a class that is mapped as it; NaN where there is none."""
        return _ratio(self.correct, self.in_reference)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall; NaN for a class that occurs on neither side."""
        return _ratio(2 * self.correct, self.in_map + self.in_reference)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class; NaN for a class that occurs on neither side."""
        return _ratio(self.correct, self.in_map + self.in_reference - self.correct)

    @property
    def mean_precision(self) -> float:
        """Mean of the precision over the classes that are mapped."""
        return mean_of(self.precision)

    @property
    def mean_recall(self) -> float:
        """Mean of the recall over the classes of the reference."""
        return mean_of(self.recall)

    @property
    def mean_f1(self) -> float:
        """Mean of the F1 score over the classes that occur."""
        return mean_of(self.f1)

    @property
    def mean_iou(self) -> float:
        """Mean of the IoU over the classes that occur; NaN where none does."""
        return mean_of(self.iou)


def mean_of(values: NDArray[np.float64]) -> float:
    """Mean of the values that are numbers; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    result = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=result, where=whole > 0)
