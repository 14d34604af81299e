"""A map compared with a raster or with polygons, pixel by pixel, boundaries left out if wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.accuracy.request import Assessment, AssessmentRequest, LeftOut, sample_missing
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.class_matching import LEFT_OUT, ClassMatch
from scasnet_qgis.labels.labels import IGNORE, Labels
from scasnet_qgis.tiling.windows import Window, aligned_windows, count_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Operation = Callable[..., NDArray[np.uint8]]


@dataclass
class Counts:
    """What became of the labelled pixels so far; each is counted once."""

    matrix: ConfusionMatrix
    labelled: int = 0
    ignored: int = 0
    boundary: int = 0
    nodata: int = 0


def assess_pixels(
    request: AssessmentRequest,
    match: ClassMatch,
    grid: Grid,
    area: Window,
    mapped: Labels,
    progress: Progress,
) -> Assessment:
    """Compare every pixel of ``area`` that has a reference class; raises InputError."""
    not_adjusted = sample_missing(request, points=False)
    reference = _Reference(request, match, grid)
    overlap = reference.overlap(area)
    counts = Counts(ConfusionMatrix.empty(len(request.classes)))
    windows = count_windows(overlap)
    for number, window in enumerate(aligned_windows(overlap)):
        progress.check()
        labels, near = reference.read(window)
        _compare(labels, near, window, mapped, counts)
        progress.report((number + 1) / windows)
    return Assessment(
        classes=request.classes,
        matrix=counts.matrix,
        points=False,
        left_out=_left_out(counts, area, request.options.boundary),
        matching=match.sentence,
        boundary=request.options.boundary,
        not_adjusted=not_adjusted,
    )


class _Reference:
    """The reference in terms of the map's classes."""

    def __init__(self, request: AssessmentRequest, match: ClassMatch, grid: Grid) -> None:
        source = request.reference
        self._labels = Labels(
            source.path, grid, request.reference_classes, layer=source.layer, field=source.field
        )
        self._table, self._grid, self._boundary = match.table(), grid, request.options.boundary

    def overlap(self, area: Window) -> Window:
        """The part of ``area`` outside of which there is no label; InputError if there is none."""
        labelled = self._labels.labelled_window()
        overlap = Window(0, 0, 0, 0) if labelled is None else labelled.intersect(area)
        if overlap.empty:
            raise InputError(
                translate(
                    "ScasNet",
                    "The reference and the map do not overlap: check their coordinate reference "
                    "systems and the extent.",
                )
            )
        return overlap

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Classes [rows, cols], and where another one is near, also one beyond the window."""
        wider = window.grow(self._boundary).intersect(self._grid.whole)
        labels = self._table[self._labels.read(wider)]
        near = near_other_class(labels, self._boundary)
        row, col = window.row - wider.row, window.col - wider.col
        inner = slice(row, row + window.rows), slice(col, col + window.cols)
        return labels[inner], near[inner]


def _compare(
    labels: NDArray[np.uint8],
    near: NDArray[np.bool_],
    window: Window,
    mapped: Labels,
    counts: Counts,
) -> None:
    labelled = labels != IGNORE
    wanted = labelled & (labels != LEFT_OUT)
    kept = wanted & ~near
    counts.labelled += int(labelled.sum())
    counts.ignored += int((labelled & ~wanted).sum())
    counts.boundary += int((wanted & near).sum())
    if not kept.any():
        return
    values = mapped.read(window)
    counts.nodata += int((kept & (values == IGNORE)).sum())
    classes = len(counts.matrix.counts)
    counts.matrix += ConfusionMatrix.of(np.where(kept, labels, IGNORE), values, classes)


def _left_out(counts: Counts, area: Window, boundary: int) -> tuple[LeftOut, ...]:
    unlabelled = message(translate("ScasNet", "without a class in the reference"))
    ignored = message(translate("ScasNet", "of an excluded class"))
    near = translate("ScasNet", "within {radius} pixels of another reference class")
    nodata = message(translate("ScasNet", "without a class in the map"))
    entries = (
        LeftOut(unlabelled, area.rows * area.cols - counts.labelled),
        LeftOut(ignored, counts.ignored),
        LeftOut(message(near, radius=boundary), counts.boundary),
        LeftOut(nodata, counts.nodata),
    )
    return tuple(entry for entry in entries if entry.count)


def near_other_class(labels: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """True where a labelled pixel has one of another class within ``radius`` pixels.

    ``labels`` [rows, cols] are class indices, 255 without a label. The distance is that of pixel
    centres, dx^2 + dy^2 <= radius^2. A boundary to what has no label, or to the array's edge, is
    none: exact results need ``radius`` pixels more on every side.

    Another class is near where the largest or the smallest index within the disc is another one.
    """
    if radius < 1:
        return np.zeros(labels.shape, dtype=np.bool_)
    smallest = _over_disc(labels, radius, np.minimum, 255)
    raised = labels + np.uint8(1)  # without a label: 255 + 1 is 0, which is never the largest
    largest = _over_disc(raised, radius, np.maximum, 0)
    return np.asarray((labels != 255) & ((smallest != labels) | (largest != raised)))


def _over_disc(
    values: NDArray[np.uint8], radius: int, operation: Operation, neutral: int
) -> NDArray[np.uint8]:
    """The extreme over the disc around each pixel; beyond the edge is ``neutral``.

    A disc is one run of pixels in each of its rows. The runs grow from the outermost row of the
    disc to the middle one, so that each is made from the one before.
    """
    rows, cols = values.shape
    padded = np.pad(values, radius, constant_values=neutral)
    run = padded[:, radius : radius + cols].copy()  # the extreme of a run around each column
    result = np.full(values.shape, neutral, dtype=np.uint8)
    half_width = 0
    for distance in range(radius, -1, -1):
        for step in range(half_width + 1, isqrt(radius**2 - distance**2) + 1):
            operation(run, padded[:, radius - step : radius - step + cols], out=run)
            operation(run, padded[:, radius + step : radius + step + cols], out=run)
            half_width = step
        for row in {radius - distance, radius + distance}:
            operation(result, run[row : row + rows], out=result)
    return result
