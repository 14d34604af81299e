"""One evaluation from the request to the figures and their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scasnet_qgis.accuracy.pixels import assess_pixels
from scasnet_qgis.accuracy.points import assess_points, holds_points
from scasnet_qgis.accuracy.report import Translator, csv_text, html_report, json_text
from scasnet_qgis.accuracy.request import Assessment, AssessmentRequest, map_grid
from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.images.reader import files_of
from scasnet_qgis.labels.class_matching import match_classes
from scasnet_qgis.labels.labels import Labels
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets


@dataclass(frozen=True)
class Reports:
    """The files to write; None for one that is not wanted."""

    html: Path | None = None
    csv: Path | None = None
    json: Path | None = None


def evaluate(
    request: AssessmentRequest, reports: Reports, progress: Progress, tr: Translator = str
) -> Assessment:
    """Compare and write the reports, all of them or none; raises a ScasNetError.

    ``tr`` gives a text of the HTML page in the reader's language.
    """
    writers: list[tuple[Path | None, Callable[[Assessment], str]]] = [
        (reports.html, lambda result: html_report(request, result, tr)),
        (reports.csv, csv_text),
        (reports.json, lambda result: json_text(request, result)),
    ]
    wanted = [(path, write) for path, write in writers if path is not None]
    targets = [path for path, _ in wanted]
    with gdal_session():
        inputs = [request.source, request.reference.path, *files_of(request.source)]
    check_targets(targets, inputs)
    result = assess(request, progress)
    progress.check()
    with atomic_files(targets) as working:
        for path, write in wanted:
            # Names of files may hold halves of characters, which cannot be written.
            working[path].write_bytes(write(result).encode("utf-8", "replace"))
    return result


def assess(request: AssessmentRequest, progress: Progress) -> Assessment:
    """Compare, and say in the log what was left out; raises a ScasNetError."""
    with gdal_session():
        points = holds_points(request.reference)
        if points and not request.reference_classes:
            raise InputError(
                translate(
                    "ScasNet",
                    "No point has a class in field {field}: label the points first, or "
                    "choose another field.",
                ),
                field=request.reference.field,
            )
        match = match_classes(request.reference_classes, request.classes, request.options.ignored)
        progress.info(match.sentence)
        grid = map_grid(request.source, request.fallback_wkt)
        area = grid.window_of(*request.extent) if request.extent else grid.whole
        mapped = Labels(request.source, grid, request.classes, by_place=False)
        compare = assess_points if points else assess_pixels
        result = compare(request, match, grid, area, mapped, progress)
    _check_compared(result)
    for entry in result.left_out:
        progress.info(entry.sentence(points))
    for note in result.notes:
        progress.warn(note)
    if result.not_adjusted is not None:
        progress.info(result.not_adjusted)
    return result


def _check_compared(result: Assessment) -> None:
    """Raise InputError, which says why, where nothing was compared."""
    if result.matrix.total:
        return
    if not result.left_out:
        raise InputError(translate("ScasNet", "The reference layer is empty: choose another one."))
    most = max(result.left_out, key=lambda entry: entry.count)
    no_point = translate(
        "ScasNet",
        "No point can be compared: {count:,} points are ignored, {reason}. Check the position "
        "and classes of the points.",
    )
    no_pixel = translate(
        "ScasNet",
        "No pixel can be compared: {count:,} pixels are ignored, {reason}. Check the reference and"
        " the extent.",
    )
    text = no_point if result.points else no_pixel
    raise InputError(text, count=most.count, reason=most.reason)
