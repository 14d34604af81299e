"""One land-cover map: from a raster and a model to files that are whole. Needs no QGIS."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session, grow_cache
from scasnet_qgis.labels.vectors.mask import layer_digest
from scasnet_qgis.mapping.context import RunContext
from scasnet_qgis.mapping.inputs import (
    check_not_inputs,
    inside_of,
    open_backend,
    open_image,
    with_reference,
)
from scasnet_qgis.mapping.log import (
    describe,
    log_augmentation,
    log_backend,
    log_extent,
    log_input,
    log_plan,
    log_refinements,
    log_warnings,
)
from scasnet_qgis.mapping.map_files import MapCounts, open_map_files
from scasnet_qgis.mapping.model_grid import log_resolution, model_grid
from scasnet_qgis.mapping.plan import tile_and_overlap
from scasnet_qgis.mapping.record import RunRecord
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.mapping.resume import Resuming, identity_of, log_kept
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.mapping.views import model_view
from scasnet_qgis.models.gpu_graph import RawInput
from scasnet_qgis.outputs.atomic_output import check_output
from scasnet_qgis.outputs.class_map import ClassArea
from scasnet_qgis.outputs.workspace import Workspace, open_workspace
from scasnet_qgis.tiling.averaging import augmented
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.pipeline import Pipeline, RunReport
from scasnet_qgis.tiling.windows import TilePlan, tiles_in_rows

# Shares of the progress; refining the whole map, overviews and side files take the rest.
MAPPING_SHARE = 0.99
MAPPING_SHARE_WITH_REFINING = 0.85

WriteStyle = Callable[[Path, Sequence[ModelClass]], object]


@dataclass(frozen=True)
class MapResult:
    """What came out of a run.

    ``seconds`` covers reading, computing and writing, overviews included, but not the start.
    ``kept`` is which share of the map an interrupted run had finished; ``seconds``, the speed and
    the tiles of ``report`` are those of this run alone, ``counts`` those of the whole map.
    ``plan`` are the tiles, of what the model sees; ``pixels`` is how many the map has.
    """

    counts: MapCounts
    area_unit: str
    seconds: float
    provider: str
    report: RunReport
    plan: TilePlan
    pixels: int
    kept: float = 0.0

    @property
    def megapixels_per_second(self) -> float:
        return self.pixels * (1 - self.kept) / 1e6 / self.seconds

    @property
    def areas(self) -> list[ClassArea]:
        """Pixels and ground area of each class of the finished map."""
        return self.counts.areas

    @property
    def nodata_pixels(self) -> int:
        """Pixels where the image holds no data; those that are only unclassified do not count."""
        without_class = self.pixels - sum(area.pixels for area in self.areas)
        return without_class - self.counts.unclassified


def make_map(settings: MapSettings, progress: Progress, write_style: WriteStyle) -> MapResult:
    """Classify a raster; ``write_style`` writes the style file beside the unpublished map.

    Raises a ScasNetError; whatever happens, no unfinished map stays. What was finished in a run of
    more than a few seconds is kept in a hidden folder, and the same settings resume it.
    """
    check_settings(settings)
    image, model, output = settings.image, settings.model, settings.output
    kept = not output.temporary
    workspace = open_workspace(output.map, output.probabilities, progress, keep=kept)
    with gdal_session(), workspace as work:
        record = RunRecord(settings, progress)
        progress = record.progress
        reader = open_image(image, model.card.bands, progress)
        check_not_inputs(output, image, model)
        grid = with_reference(reader.grid, image)
        area = grid.window_of(*image.extent) if image.extent else grid.whole
        steps = RefinementSteps.of(settings.refinements, grid.part(area))
        inside = inside_of(image, grid, area, progress)
        mask = layer_digest(image.mask, image.mask_layer, progress.check) if inside else ""
        record.watch_mask(mask)
        scaling = reader.scaling(model.card, image.value_range)
        resample = image.resample and image.layer is None
        seen = model_grid(model.card, grid, area) if resample else None
        view = model_view(reader, grid, area, inside, seen)
        wanted = identity_of(
            settings, record.image, record.model, mask, reader, grid, area, scaling, seen
        )
        resuming = Resuming(work.journal, wanted, settings.run.resume)
        tile, overlap = tile_and_overlap(model, settings.tiling, settings.device.threads)
        with_probabilities = output.probabilities is not None
        tiling = resuming.tiling(view.tiling(tile, overlap, model, with_probabilities))
        if image.layer is not None:
            image.layer.begin(area, inside, progress)
        grow_cache(
            view.source.cache_bytes_for((tiling.plan.vertical.size, tiling.plan.horizontal.size))
        )
        raw = RawInput(str(reader.dtype), scaling.low, scaling.high)
        with open_backend(settings, tiling, raw, seen is not None, progress) as backend:
            record.check_model()
            run = RunContext(
                settings, reader, grid, area, scaling, seen, view, tiling, steps, backend
            )
            _log(run, progress)
            resuming.begin(backend, tiling, progress)
            return _write(run, work, record, write_style)


def check_settings(settings: MapSettings) -> None:
    """Raise a ScasNetError for what can be seen to fail before anything is opened."""
    image, model, output = settings.image, settings.model, settings.output
    for path in output.all:
        check_output(path)
    if output.probabilities is not None and output.probabilities.resolve() == output.map.resolve():
        raise SettingError(
            translate(
                "ScasNet", "Class probabilities need a file of their own: choose another name."
            )
        )
    tile_and_overlap(model, settings.tiling, settings.device.threads)
    if image.value_range is not None:
        image.value_range.of_bands(model.bands)
        if image.layer is not None and image.value_range.percentiles:
            raise image.layer.percentiles_error()
    settings.augmentation.check(model.fixed_size, model.margin)


def _log(run: RunContext, progress: Progress) -> None:
    card = run.settings.model.card
    log_input(run.reader, run.scaling, card, run.grid, progress)
    log_extent(run.grid, run.settings.image.extent, progress)
    log_resolution(run.model_grid, card, run.grid, run.area, progress)
    log_backend(run.backend, progress)
    log_augmentation(run.settings.augmentation, progress)
    log_refinements(run.steps, progress)
    log_plan(run.plan, run.tiling.overlap, progress)


def _write(
    run: RunContext, work: Workspace, record: RunRecord, write_style: WriteStyle
) -> MapResult:
    """Run the loop into work folders and publish what is whole."""
    began = time.monotonic()
    settings, view, backend, tiling = run.settings, run.view, run.backend, run.tiling
    classes, grid, progress = settings.model.card.classes, run.map_grid, record.progress
    share = MAPPING_SHARE_WITH_REFINING if run.steps.maps else MAPPING_SHARE
    mapping = Stage(progress, 0.0, share)
    loop = Pipeline(
        view.source,
        view.raster,
        view.area,
        run.scaling,
        augmented(backend, settings.augmentation),
        run.plan,
        backend.batch,
        view.inside,
    )

    def resumed(chunks: int) -> None:
        progress.check()
        rows = view.rows_of_tiles(tiling, chunks)
        mapping.report(tiles_in_rows(run.plan, rows) / run.plan.count)

    origin = record.origin(run)
    with open_map_files(work, grid, classes, run.steps, origin, record.check_files) as files:
        chunks = files.resume(resumed)
        pixels = grid.rows * grid.cols
        kept = work.journal.pixels / pixels
        rows = view.rows_of_tiles(tiling, chunks)
        log_kept(kept, run.plan, rows, progress)
        logged = len(backend.warnings)
        with_scores = settings.needs_scores
        to_map = view.to_map(tiling, backend.classes, chunks, with_scores=with_scores)

        def write(block: FinishedBlock) -> None:
            for map_block in to_map(block):
                progress.check()
                files.write(map_block)

        report = loop.run(write, mapping, rows)
        log_warnings(backend, logged, progress)
        files.finish(Stage(progress, share, 1.0))
        write_style(files.map_file, classes)
        record.write(files.working, run, files.counts, report, kept)
        progress.check()
        counts = files.publish()
        seconds = max(time.monotonic() - began, 1e-6)
        provider = describe(backend)
        return MapResult(counts, grid.area_unit, seconds, provider, report, run.plan, pixels, kept)
