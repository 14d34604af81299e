"""A stratified random sample of a map, for a person to label. Needs no QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from scasnet_qgis.accuracy.area_estimation import allocate, sample_size
from scasnet_qgis.accuracy.options import SampleOptions
from scasnet_qgis.accuracy.request import map_grid
from scasnet_qgis.accuracy.sample_file import Stratum, check_sample_file, write_sample
from scasnet_qgis.accuracy.strata import Strata, count_strata, draw_pixels
from scasnet_qgis.common.choices import MAX_SAMPLE_POINTS, MIN_CLASS_POINTS
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.images.reader import files_of
from scasnet_qgis.labels.labels import LabelClass, Labels
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets

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
            translate("ScasNet", "The map has no classes here: choose another extent or map.")
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
            translate(
                "ScasNet",
                "{total} points are too many to label: the maximum is {most}.",
            ),
            total=total,
            most=MAX_SAMPLE_POINTS,
        )
    points = allocate(pixels, total, options.min_per_class)
    if any(0 < count < MIN_CLASS_POINTS for count in points):
        text = translate(
            "ScasNet",
            "A class of one pixel gets one point: too few for a confidence interval.",
        )
        progress.warn(message(text))
    rows = zip(request.classes, pixels, counted.areas, points)
    return [
        Stratum(kind.value, kind.name, kind.color, count, float(area), drawn)
        for kind, count, area, drawn in rows
    ]
