"""A stratified random sample of a map, for a person to label. Needs no QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import numpy as np

from scasnet_qgis.accuracy.area_estimation import allocate, draw_ranks, sample_size
from scasnet_qgis.accuracy.options import SampleOptions
from scasnet_qgis.accuracy.request import map_grid
from scasnet_qgis.accuracy.sample_file import Stratum, check_sample_file, write_sample
from scasnet_qgis.common.choices import MAX_SAMPLE_POINTS, MIN_CLASS_POINTS
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import files_of
from scasnet_qgis.labels.labels import LabelClass, Labels
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets
from scasnet_qgis.tiling.windows import Window, aligned_windows, count_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRIP_ROWS = 64  # rows whose pixels are taken to have one area, which may change with the latitude
COUNTING_SHARE = 0.6  # of the progress; then come drawing and writing

Style = Callable[[Path, Sequence[Stratum]], object]


@dataclass(frozen=True)
class SampleRequest:
    """What to draw from; ``extent`` is x_min, y_min, x_max, y_max in the map's coordinates."""

    source: str
    classes: tuple[LabelClass, ...]
    output: Path
    options: SampleOptions
    extent: tuple[float, float, float, float] | None = None
    fallback_wkt: str = ""


@dataclass(frozen=True)
class SampleResult:
    """All classes of the map, also those without a pixel here; and pixels without a class."""

    strata: tuple[Stratum, ...]
    area_unit: str
    nodata_pixels: int

    @property
    def points(self) -> int:
        return sum(stratum.points for stratum in self.strata)


def draw_sample(request: SampleRequest, progress: Progress, style: Style) -> SampleResult:
    """Draw and write a sample; ``style`` adds to the file before it gets its name.

    Raises a ScasNetError; whatever happens, no unfinished file stays.
    """
    with gdal_session():
        check_sample_file(request.output)
        check_targets([request.output], [request.source, *files_of(request.source)])
        grid = map_grid(request.source, request.fallback_wkt)
        labels = Labels(request.source, grid, request.classes, by_place=False)
        area = grid.window_of(*request.extent) if request.extent else grid.whole
        counting = Stage(progress, 0.0, COUNTING_SHARE)
        counted = count_strata(labels, grid, area, len(request.classes), counting)
        strata = _strata(request, counted, progress)
        generator = np.random.default_rng(request.options.seed)
        drawing = Stage(progress, COUNTING_SHARE, 1.0)
        points = [stratum.points for stratum in strata]
        pixels = draw_pixels(labels, counted, points, generator, drawing)
        with atomic_files([request.output]) as working:
            write_sample(working[request.output], grid, pixels, strata, grid.area_unit)
            style(working[request.output], strata)
            progress.check()
    nodata_pixels = area.rows * area.cols - sum(counted.pixels)
    return SampleResult(tuple(strata), grid.area_unit, nodata_pixels)


def _strata(request: SampleRequest, counted: Strata, progress: Progress) -> list[Stratum]:
    pixels, options = counted.pixels, request.options
    if not sum(pixels):
        raise InputError(
            translate(
                "ScasNet", "The map has no classes in this extent: choose another extent or map."
            )
        )
    total = options.points
    if options.target_error is not None:
        total = sample_size(options.expected_accuracy, options.target_error, sum(pixels))
        total = max(total, sum(min(options.min_per_class, count) for count in pixels))
        text = translate(
            "ScasNet",
            "{total} points for a standard error of the overall accuracy of about {error:g}, if "
            "{expected:.0%} of the map is correct",
        )
        expected, error = options.expected_accuracy, options.target_error
        progress.info(message(text, total=total, error=error, expected=expected))
    if total > MAX_SAMPLE_POINTS:
        raise SettingError(
            translate("ScasNet", "{total} points are too many to label: the maximum is {most}."),
            total=total,
            most=MAX_SAMPLE_POINTS,
        )
    points = allocate(pixels, total, options.min_per_class)
    if any(0 < count < MIN_CLASS_POINTS for count in points):
        text = translate(
            "ScasNet", "A class of one pixel gets one point: too few for a confidence interval."
        )
        progress.warn(message(text))
    rows = zip(request.classes, pixels, counted.areas, points)
    return [
        Stratum(kind.value, kind.name, kind.color, count, float(area), drawn)
        for kind, count, area, drawn in rows
    ]


@dataclass(frozen=True)
class Strata:
    """Pixels and ground area of each class of a map within ``area``, in ``Grid.area_unit``.

    ``counts`` [windows, classes] are the pixels window by window, in the order of the walk.
    """

    area: Window
    counts: NDArray[np.int64]
    areas: NDArray[np.float64]

    @property
    def pixels(self) -> list[int]:
        return [int(count) for count in self.counts.sum(axis=0)]


def count_strata(
    labels: Labels, grid: Grid, area: Window, classes: int, progress: Progress
) -> Strata:
    """Count the pixels of each class, window by window."""
    counts = np.zeros((count_windows(area), classes), dtype=np.int64)
    areas = np.zeros(classes, dtype=np.float64)
    for number, window in enumerate(aligned_windows(area)):
        progress.check()
        values = labels.read(window)
        for first in range(0, window.rows, _STRIP_ROWS):
            strip = values[first : first + _STRIP_ROWS]
            found = np.bincount(strip.ravel(), minlength=256)[:classes]
            counts[number] += found
            areas += found * grid.pixel_area(window.row + first + len(strip) / 2)
        progress.report((number + 1) / len(counts))
    return Strata(area, counts, areas)


def draw_pixels(
    labels: Labels,
    strata: Strata,
    points: Sequence[int],
    generator: np.random.Generator,
    progress: Progress,
) -> NDArray[np.int64]:
    """So many different pixels of each class, every set of them equally likely, in random order.

    Returns [points, 3]: row, column, class. The pixels of a class are numbered in the order of the
    walk; numbers are drawn, and only the windows that hold one of them are read again.
    """
    ranks = [draw_ranks(pixels, count, generator) for pixels, count in zip(strata.pixels, points)]
    ends = strata.counts.cumsum(axis=0)
    starts = ends - strata.counts
    found: list[NDArray[np.int64]] = []
    for number, window in enumerate(aligned_windows(strata.area)):
        progress.check()
        wanted = {}
        for index, drawn in enumerate(ranks):
            first, last = np.searchsorted(drawn, (starts[number, index], ends[number, index]))
            if last > first:
                wanted[index] = drawn[first:last] - starts[number, index]
        if wanted:
            flat = labels.read(window).ravel()
            found += [_positions(flat, window, index, numbers) for index, numbers in wanted.items()]
        progress.report((number + 1) / len(strata.counts))
    drawn_pixels = np.concatenate([np.zeros((0, 3), dtype=np.int64), *found])
    return np.asarray(generator.permutation(drawn_pixels))


def _positions(
    flat: NDArray[np.uint8], window: Window, index: int, ranks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Row, column and class of the pixels of a class with these numbers within a window."""
    positions = np.flatnonzero(flat == index)[ranks]
    rows, cols = divmod(positions, window.cols)
    rows, cols = rows + window.row, cols + window.col
    return np.stack((rows, cols, np.full_like(rows, index)), axis=1)
