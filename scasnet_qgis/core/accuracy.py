"""Accuracy of a map against a reference, from the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate

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
    def overall_accuracy(self) -> float:
        """Share of pixels mapped as their reference class; NaN where there are none."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class; NaN for a class that occurs on neither side."""
        hits = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits
        return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)

    @property
    def mean_iou(self) -> float:
        """Mean of the IoU over the classes that occur; NaN where none does."""
        values = self.iou[~np.isnan(self.iou)]
        return float(values.mean()) if values.size else float("nan")
