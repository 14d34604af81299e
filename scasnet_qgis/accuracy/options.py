"""The settings of an evaluation and of a sample, each declared once."""

from __future__ import annotations

from dataclasses import dataclass

from scasnet_qgis.common.choices import (
    ADJUSTED,
    MAX_BOUNDARY_PIXELS,
    MAX_SAMPLE_POINTS,
    MIN_CLASS_POINTS,
)
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import Choice, Number, Text, option


@dataclass(frozen=True)
class EvaluationOptions:
    """What is compared.

    ``boundary`` is the radius in pixels within which another reference class leaves a pixel out;
    ``ignored`` names reference classes to leave out; ``adjusted`` is one of ``choices.ADJUSTED``:
    "auto" gives area-adjusted figures where the reference is a sample, "yes" fails where it is
    none.
    """

    boundary: int = option(
        0,
        "BOUNDARY",
        translate("ScasNet", "Ignore boundary pixels (distance in pixels)"),
        translate(
            "ScasNet",
            "Pixels this close to another class of the reference are not compared, because "
            "boundaries are never exact: 3 is the rule of the ISPRS benchmark, 0 compares all "
            "pixels. Edges of areas without a class do not count as boundaries.",
        ),
        Number(0, MAX_BOUNDARY_PIXELS, integer=True),
    )
    ignored: str = option(
        "",
        "LEAVE_OUT",
        translate("ScasNet", "Classes to ignore"),
        translate(
            "ScasNet",
            "Names or values of reference classes that are not compared, separated by semicolons: "
            "clutter, for instance, or classes that the map does not have.",
        ),
        Text(),
        advanced=True,
    )
    adjusted: str = option(
        ADJUSTED[0],
        "AREA_ADJUSTED",
        translate("ScasNet", "Area-adjusted accuracy and areas"),
        translate(
            "ScasNet",
            "A sample from Draw sample points gives the accuracy of the whole map and the area of "
            "each class, with 95 % confidence intervals. auto computes them if possible and logs "
            "the reason if not; yes stops if they cannot be computed; no omits them.",
        ),
        Choice(ADJUSTED),
        advanced=True,
    )


@dataclass(frozen=True)
class SampleOptions:
    """How many points are drawn.

    With a ``target_error`` (standard error of the overall accuracy), the number follows from it
    and from ``expected_accuracy``; else it is ``points``. Each class gets
    ``min_per_class`` or more.
    """

    points: int = option(
        500,
        "SAMPLES",
        translate("ScasNet", "Number of points"),
        translate("ScasNet", "Total number of points; they are allocated to the classes by area."),
        Number(MIN_CLASS_POINTS, MAX_SAMPLE_POINTS, integer=True),
    )
    min_per_class: int = option(
        50,
        "MIN_PER_CLASS",
        translate("ScasNet", "Minimum number of points per class"),
        translate(
            "ScasNet",
            "Rare classes get this many points, so that their accuracy can be estimated as well; "
            "50 to 100 is usual.",
        ),
        Number(MIN_CLASS_POINTS, MAX_SAMPLE_POINTS, integer=True),
    )
    seed: int = option(
        1,
        "SEED",
        translate("ScasNet", "Random seed"),
        translate("ScasNet", "The same seed draws the same points from the same map again."),
        Number(0, 2**31 - 1, integer=True),
    )
    target_error: float | None = option(
        None,
        "TARGET_ERROR",
        translate("ScasNet", "Target standard error"),
        translate(
            "ScasNet",
            "Standard error of the overall accuracy to reach, for instance 0.01. The number of "
            "points is then computed from it.",
        ),
        Number(0.0005, 0.5, optional=True),
        advanced=True,
    )
    expected_accuracy: float = option(
        0.8,
        "EXPECTED_ACCURACY",
        translate("ScasNet", "Expected accuracy (0-1)"),
        translate(
            "ScasNet",
            "Share of the map that is expected to be correct; only used with a target standard "
            "error.",
        ),
        Number(0.01, 0.99),
        advanced=True,
    )
