"""A map compared with points; and what a sample of points says about the whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.accuracy.area_estimation import area_adjusted
from scasnet_qgis.accuracy.reference_points import (
    UNKNOWN_CLASS,
    Points,
    map_classes_at,
    read_points,
)
from scasnet_qgis.accuracy.request import (
    Assessment,
    AssessmentRequest,
    LeftOut,
    SampleFigures,
    not_adjusted,
    sample_missing,
)
from scasnet_qgis.accuracy.sample_file import SampleDesign
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.class_matching import LEFT_OUT, ClassMatch
from scasnet_qgis.labels.label_class import value_text
from scasnet_qgis.labels.labels import IGNORE, Labels
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]


def assess_points(
    request: AssessmentRequest,
    match: ClassMatch,
    grid: Grid,
    area: Window,
    mapped: Labels,
    progress: Progress,
) -> Assessment:
    """Compare each point of ``area`` with the pixel below it; raises InputError, SettingError."""
    if request.options.boundary:
        raise SettingError(
            translate("ScasNet", "Points have no boundaries: set the boundary distance to 0.")
        )
    points = read_points(request.reference, grid, request.reference_classes, progress)
    labels = np.append(match.table().astype(np.int16), np.int16(UNKNOWN_CLASS))[points.labels]
    inside = points.inside(area)
    values = map_classes_at(points, inside, mapped, progress)
    matrix = ConfusionMatrix.of(np.where(inside, labels, IGNORE), values, len(request.classes))
    adjusted: SampleFigures | None = None
    why: Message | None = None
    notes: tuple[Message, ...] = ()
    if matrix.total and request.options.adjusted != "no":
        adjusted, why, notes = _adjust(request, points, matrix, values, inside)
    return Assessment(
        classes=request.classes,
        matrix=matrix,
        points=True,
        left_out=_left_out(points, labels, inside, values),
        matching=match.sentence,
        adjusted=adjusted,
        not_adjusted=why,
        notes=(*_unlabelled(request, labels, inside), *notes),
    )


def _left_out(
    points: Points, labels: NDArray[np.int16], inside: Flags, values: NDArray[np.uint8]
) -> tuple[LeftOut, ...]:
    compared = inside & (labels < LEFT_OUT)
    unknown = translate("ScasNet", "with a value that is not a class")
    reasons = (
        (translate("ScasNet", "not georeferenced"), points.without_geometry),
        (translate("ScasNet", "outside the map or the extent"), (~inside).sum()),
        (translate("ScasNet", "without a class"), (inside & (labels == IGNORE)).sum()),
        (unknown, (inside & (labels == UNKNOWN_CLASS)).sum()),
        (
            translate("ScasNet", "of an excluded class"),
            (inside & (labels == LEFT_OUT)).sum(),
        ),
        (
            translate("ScasNet", "without a class in the map"),
            (compared & (values == IGNORE)).sum(),
        ),
    )
    return tuple(LeftOut(Message(text), int(count)) for text, count in reasons if count)


def _unlabelled(
    request: AssessmentRequest, labels: NDArray[np.int16], inside: Flags
) -> tuple[Message, ...]:
    """A warning where points have no class yet."""
    count = int((inside & (labels == IGNORE)).sum())
    if not count:
        return ()
    text = translate(
        "ScasNet",
        "{count} of {total} points have no class in the field {field}: they are ignored.",
    )
    return (message(text, count=count, total=int(inside.sum()), field=request.reference.field),)


_Outcome = tuple["SampleFigures | None", "Message | None", tuple[Message, ...]]


def _adjust(
    request: AssessmentRequest,
    points: Points,
    matrix: ConfusionMatrix,
    values: NDArray[np.uint8],
    inside: Flags,
) -> _Outcome:
    """Figures for the whole map, or why there are none; and warnings about them."""
    design = points.design
    if design is None:
        return None, sample_missing(request, points=True), ()
    reason = _design_problem(design, inside)
    if reason is not None:
        return None, not_adjusted(request, reason), ()
    _check_map(request, design, values)
    index_of = {value_text(kind.value): index for index, kind in enumerate(request.classes)}
    pixels, areas = [0] * len(index_of), [0.0] * len(index_of)
    for stratum in design.strata:
        pixels[index_of[stratum.value]] = stratum.pixels
        areas[index_of[stratum.value]] = stratum.area
    labelled = matrix.in_map
    missing = [index for index, count in enumerate(pixels) if count and not labelled[index]]
    if missing:
        text = translate("ScasNet", "no labelled points in these map classes: {names}")
        names = ", ".join(request.classes[index].name for index in missing)
        return None, not_adjusted(request, message(text, names=names)), ()
    figures = area_adjusted(matrix, pixels)
    result = SampleFigures(figures, tuple(pixels), tuple(areas), design.area_unit)
    return result, None, _single_points(request, labelled)


def _design_problem(design: SampleDesign, inside: Flags) -> Message | None:
    """What is wrong with a sample; None where it is as it was drawn."""
    if not inside.all():
        return message(translate("ScasNet", "some sample points are outside the map or the extent"))
    if not design.consistent:
        return message(translate("ScasNet", "the fields of the sampling design were changed"))
    if not design.complete:
        return message(translate("ScasNet", "all points of a class were removed from the sample"))
    return None


def _check_map(request: AssessmentRequest, design: SampleDesign, values: NDArray[np.uint8]) -> None:
    """Raise InputError where points do not lie on the class they were drawn from."""
    index_of = {value_text(kind.value): index for index, kind in enumerate(request.classes)}
    classes = np.array([index_of.get(stratum.value, -1) for stratum in design.strata])
    drawn = classes[design.stratum_of_point]
    wrong = int((drawn != values).sum())
    if wrong:
        raise InputError(
            translate(
                "ScasNet",
                "The sample is of another map, or its points were moved: {wrong} of {total} points"
                " lie on another class than when they were drawn. Choose the map that was sampled,"
                " or no area-adjusted accuracy.",
            ),
            wrong=wrong,
            total=len(values),
        )


def _single_points(request: AssessmentRequest, labelled: NDArray[np.int64]) -> tuple[Message, ...]:
    names = [kind.name for kind, count in zip(request.classes, labelled) if count == 1]
    if not names:
        return ()
    text = translate(
        "ScasNet",
        "There is only one labelled point in {names}, so that confidence intervals cannot be "
        "given: label at least two in each class of the map.",
    )
    return (message(text, names=", ".join(names)),)
