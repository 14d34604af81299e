"""Stratified random samples of a map: how many points where, and what follows from them.

The strata are the classes of the map. Formulas and their numbers are those of Olofsson et al.
2014, Good practices for estimating area and assessing accuracy of land change, Remote Sensing of
Environment 148, 42-57.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, nan
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z95 = 1.96  # standard errors to either side that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error; NaN is what the sample does not tell."""

    value: float
    standard_error: float

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % confidence interval."""
        return Z95 * self.standard_error


@dataclass(frozen=True)
class AreaAdjusted:
    """What a stratified sample says about the whole map; a value for each class of the map.

    ``shares`` are the classes' shares of the mapped pixels as the reference would have them.
    """

    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]


def area_adjusted(matrix: ConfusionMatrix, pixels: Sequence[int]) -> AreaAdjusted:
    """Estimators for a sample that is stratified by the classes of the map.

    ``matrix`` counts the labelled points, ``pixels`` are those of each class on the whole map.
    Every class with pixels needs a labelled point (SettingError); with a single one, the errors
    that depend on it are NaN.
    """
    counts = matrix.counts.T.astype(np.float64)  # [map class, reference class], as in the paper
    points = counts.sum(axis=1)
    whole = np.asarray(pixels, dtype=np.float64)
    if whole.shape != points.shape or ((whole > 0) & (points == 0)).any() or not whole.sum():
        raise SettingError(
            translate("ScasNet", "Every class of the map needs a point with a reference class.")
        )
    weights = whole / whole.sum()
    rates = counts / np.maximum(points, 1.0)[:, None]
    variances = _variances(rates, points, weights)
    proportions = weights[:, None] * rates  # equation 4
    shares = proportions.sum(axis=0)  # equation 9
    users = np.where(points > 0, np.diag(rates), nan)  # equation 2
    users_variance = np.where(points > 1, np.diag(variances), nan)  # equation 6
    overall = float(np.trace(proportions))  # equation 1
    overall_variance = float((weights**2 * np.diag(variances)).sum())  # equation 5
    share_variances = (weights[:, None] ** 2 * variances).sum(axis=0)  # equation 10
    return AreaAdjusted(
        Estimate(overall, overall_variance**0.5),
        _estimates(users, users_variance),
        _producers(proportions, shares, weights, variances),
        _estimates(shares, share_variances),
    )


def _variances(
    rates: NDArray[np.float64], points: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Variance of each rate within its stratum; NaN where one point says nothing of it."""
    variances = np.zeros_like(rates)
    single = (points == 1) & (weights > 0)
    many = points > 1
    variances[many] = rates[many] * (1.0 - rates[many]) / (points[many, None] - 1.0)
    variances[single] = nan
    return variances


def _producers(
    proportions: NDArray[np.float64],
    shares: NDArray[np.float64],
    weights: NDArray[np.float64],
    variances: NDArray[np.float64],
) -> tuple[Estimate, ...]:
    """Producer's accuracies (equation 3) with their variances (equation 7).

    Equation 7 is written with pixels of the whole map; here both sides are divided by their sum.
    """
    result = []
    for j, share in enumerate(shares):
        if share == 0.0:
            result.append(Estimate(nan, nan))
            continue
        accuracy = proportions[j, j] / share
        parts = weights**2 * variances[:, j]
        others = np.delete(parts, j).sum()
        variance = (parts[j] * (1.0 - accuracy) ** 2 + accuracy**2 * others) / share**2
        result.append(Estimate(float(accuracy), float(variance) ** 0.5))
    return tuple(result)


def _estimates(values: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[Estimate, ...]:
    return tuple(Estimate(float(a), float(b) ** 0.5) for a, b in zip(values, variances))


def sample_size(expected_accuracy: float, target_error: float, pixels: int) -> int:
    """Points that give the overall accuracy a standard error of ``target_error``.

    Equation 13 (Cochran 1977, Sampling Techniques, equation 5.25) for one expected user's
    accuracy in all classes, with the correction for a map of ``pixels`` pixels.
    """
    variance = expected_accuracy * (1.0 - expected_accuracy)
    return max(1, ceil(variance / (target_error**2 + variance / pixels)))


def allocate(pixels: Sequence[int], total: int, min_per_class: int) -> list[int]:
    """Points for each class: by its pixels, but at least ``min_per_class``, ``total`` altogether.

    A class never gets more points than it has pixels, and none if it has none. Raises
    SettingError where ``total`` is less than what the classes get at least.
    """
    minimums = [min(min_per_class, count) for count in pixels]
    if sum(minimums) > total:
        raise SettingError(
            translate(
                "ScasNet",
                "{total} points are too few for {classes} classes with at least {least} "
                "points each: enter at least {needed} points, or fewer per class.",
            ),
            total=total,
            classes=sum(1 for count in pixels if count),
            least=min_per_class,
            needed=sum(minimums),
        )
    total = min(total, sum(pixels))
    result = list(minimums)
    free = {index for index, count in enumerate(pixels) if count}
    while free:
        left = total - sum(result[index] for index in range(len(pixels)) if index not in free)
        whole = sum(pixels[index] for index in free)
        exact = {index: left * pixels[index] / whole for index in free}
        short = {index for index in free if exact[index] < minimums[index]}
        if not short:
            _round(exact, left, result)
            break
        free -= short  # they keep what they get at least; the others share what is left
    return result


def _round(exact: dict[int, float], total: int, result: list[int]) -> None:
    """Whole numbers close to ``exact`` that add up to ``total``, into ``result``."""
    for index, value in exact.items():
        result[index] = floor(value)
    missing = total - sum(floor(value) for value in exact.values())
    by_remainder = sorted(exact, key=lambda index: (floor(exact[index]) - exact[index], index))
    for index in by_remainder[:missing]:
        result[index] += 1


def draw_ranks(pixels: int, points: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """``points`` different numbers below ``pixels``, each set equally likely, ascending."""
    return np.sort(generator.choice(pixels, size=points, replace=False, shuffle=False))
