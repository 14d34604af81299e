"""One land-cover map: from a raster and a model to files that are whole. Needs no QGIS."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from scasnet_qgis.core.card import ModelClass
from scasnet_qgis.core.choices import PIXELS
from scasnet_qgis.core.ensemble import ONE_LOOK, Looks, averaging
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.core.segmentation import RunReport, Segmentation
from scasnet_qgis.core.strips import tiles_before
from scasnet_qgis.core.value_range import ValueRange
from scasnet_qgis.core.windows import TilePlan
from scasnet_qgis.mapping_log import (
    describe,
    tell_backend,
    tell_extent,
    tell_input,
    tell_plan,
    tell_rules,
    tell_warnings,
)
from scasnet_qgis.mapping_opening import (
    check_inputs,
    inside_of,
    open_backend,
    open_image,
    with_reference,
)
from scasnet_qgis.mapping_plan import tile_and_overlap
from scasnet_qgis.mapping_record import RunRecord
from scasnet_qgis.mapping_regridding import Keep, Sight, sight_of
from scasnet_qgis.mapping_repeat import Settled
from scasnet_qgis.mapping_resolution import seen_grid, tell_resolution
from scasnet_qgis.mapping_resume import Resuming, identity_of, tell_kept
from scasnet_qgis.models.gpu_graph import RawInput
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.raster.class_map import ClassArea
from scasnet_qgis.raster.delivery import check_output
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.layer_digest import layer_digest
from scasnet_qgis.raster.patches import SmallestPatch
from scasnet_qgis.raster.products import MapCounts, MapRules, open_products
from scasnet_qgis.raster.rendered_layer import RenderedLayer
from scasnet_qgis.raster.session import gdal_session, grow_cache
from scasnet_qgis.raster.work import Work, open_work

# Shares of the progress; small patches, overviews and side files take the rest.
MAPPING_SHARE = 0.99
MAPPING_SHARE_WITH_SIEVE = 0.85

Style = Callable[[Path, Sequence[ModelClass]], object]


@dataclass(frozen=True)
class MapRequest:
    """What to map and how; None and 0 mean: what the model's card, or the device, advises.

    ``extent`` is x_min, y_min, x_max, y_max in the raster's coordinates; ``fallback_wkt`` is
    the reference system for a raster that states none, or, where the ``layer_wins``, for any.
    Where ``source`` names no file, ``layer`` is what is rendered.
    ``value_range`` are the values that become 0 and 1, see raster/values.py. Pixels whose highest
    score is below ``min_confidence`` get no class, patches smaller than ``sieve`` that of a
    neighbour; 0 turns either off. ``sieve_unit`` is one of ``choices.PATCH_UNITS``. ``mask`` is a
    file of polygons, ``mask_layer`` the layer in it: what lies outside of all of them is not
    mapped. With ``resample`` the model sees the raster at the ground resolution that it was trained
    for. With ``resume`` a run goes on where the same one was interrupted.
    """

    source: str
    model: ModelInfo
    output: Path
    probabilities: Path | None = None
    bands: tuple[int, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    layer: RenderedLayer | None = None
    mask: str = ""
    mask_layer: str = ""
    device: str = "auto"
    tile_size: int | None = None
    overlap: int | None = None
    batch: int = 0
    threads: int = 0
    fallback_wkt: str = ""
    layer_wins: bool = False
    value_range: ValueRange | None = None
    looks: Looks = ONE_LOOK
    min_confidence: float = 0.0
    sieve: float = 0.0
    sieve_unit: str = PIXELS
    resample: bool = True
    resume: bool = True

    @property
    def needs_scores(self) -> bool:
        """Whether more is asked for than the likeliest class of each pixel."""
        return self.probabilities is not None or self.min_confidence > 0


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
    megapixels_per_second: float
    provider: str
    report: RunReport
    plan: TilePlan
    pixels: int
    kept: float = 0.0

    @property
    def areas(self) -> list[ClassArea]:
        """Pixels and ground area of each class of the finished map."""
        return self.counts.areas

    @property
    def nodata_pixels(self) -> int:
        """Pixels where the image holds no data; those that are only uncertain do not count."""
        without_class = self.pixels - sum(each.pixels for each in self.areas)
        return without_class - self.counts.uncertain_pixels


def make_map(request: MapRequest, progress: Progress, style: Style) -> MapResult:
    """Classify a raster; ``style`` writes the style file beside the map before it is published.

    Raises a ScasNetError; whatever happens, no unfinished map stays. What was finished in a run of
    more than a few seconds is kept in a hidden folder, so that the same request goes on with it.
    """
    check_request(request)
    with gdal_session(), open_work(request.output, request.probabilities, progress) as work:
        record = RunRecord(request, progress)
        progress = record.progress
        card = request.model.card
        reader = open_image(request, progress)
        check_inputs(request)
        grid = with_reference(reader.grid, request)
        area = grid.window_of(*request.extent) if request.extent else grid.whole
        part = grid.part(area)
        rules = rules_of(request, part)
        inside = inside_of(request, grid, area, progress)
        mask = layer_digest(request.mask, request.mask_layer, progress.check) if inside else ""
        record.watch_mask(mask)
        scaling = reader.scaling(card, request.value_range)
        resample = request.resample and request.layer is None
        seen = seen_grid(card, grid, area) if resample else None
        sight = sight_of(reader, grid, area, inside, seen)
        wanted = identity_of(request, record, mask, reader, grid, area, scaling, seen)
        resuming = Resuming(work.journal, wanted, request.resume)
        tiling = resuming.tiling(sight.tiling(*tile_and_overlap(request), request))
        plan = tiling.plan
        if request.layer is not None:
            request.layer.begin(area, inside, progress)
        grow_cache(sight.source.cache_for((plan.vertical.size, plan.horizontal.size)))
        raw = RawInput(str(reader.dtype), scaling.low, scaling.high)
        with open_backend(request, tiling, raw, seen is not None, progress) as backend:
            record.check_model()
            tell_input(reader, scaling, card, grid, progress)
            tell_extent(grid, request.extent, progress)
            tell_resolution(seen, card, grid, area, progress)
            tell_backend(backend, progress)
            tell_rules(request.looks, request.min_confidence, rules.smallest, progress)
            job = Segmentation(
                sight.source,
                sight.raster,
                sight.area,
                scaling,
                averaging(backend, request.looks),
                plan,
                backend.batch,
                sight.inside,
            )
            tell_plan(plan, tiling.overlap, progress)
            resuming.begin(backend, tiling, progress)
            settled = Settled(reader, grid, area, scaling, tiling, rules, backend, seen)
            started = time.monotonic()
            counts, report, kept = _write(request, work, record, settled, sight, job, style)
            seconds = max(time.monotonic() - started, 1e-6)
            provider = describe(backend)
    pixels = part.rows * part.cols
    speed = pixels * (1 - kept) / 1e6 / seconds
    return MapResult(counts, part.area_unit, seconds, speed, provider, report, plan, pixels, kept)


def check_request(request: MapRequest) -> None:
    """Raise a ScasNetError for what can be seen to fail before anything is opened."""
    check_output(request.output)
    if request.probabilities is not None:
        check_output(request.probabilities)
        if request.probabilities.resolve() == request.output.resolve():
            raise SettingError(
                translate(
                    "ScasNet", "The probabilities need a file of their own: choose another name."
                )
            )
    tile_and_overlap(request)
    if request.value_range is not None:
        request.value_range.of_bands(request.model.bands)
        if request.layer is not None and request.value_range.percentiles:
            raise request.layer.no_percentiles()
    request.looks.check(request.model.fixed_size, request.model.margin)


def rules_of(request: MapRequest, grid: Grid) -> MapRules:
    """What is done to the model's answer on this grid; raises SettingError."""
    if request.sieve <= 0:
        return MapRules(request.min_confidence)
    smallest = SmallestPatch.of(request.sieve, request.sieve_unit, grid)
    return MapRules(request.min_confidence, smallest)


def _write(
    request: MapRequest,
    work: Work,
    record: RunRecord,
    settled: Settled,
    sight: Sight,
    job: Segmentation,
    style: Style,
) -> tuple[MapCounts, RunReport, float]:
    """Run the job into work folders and publish what is whole.

    The last value is which share of the map an interrupted run had finished.
    """
    classes, rules, progress = request.model.card.classes, settled.rules, record.progress
    share = MAPPING_SHARE if rules.smallest is None else MAPPING_SHARE_WITH_SIEVE
    mapping = Stage(progress, 0.0, share)
    grid = settled.grid.part(settled.area)
    with open_products(work, grid, classes, rules, record.origin, record.check_files) as products:
        tiling, plan = settled.tiling, settled.plan

        def finished(chunks: int) -> None:
            progress.check()
            rows = sight.rows_of_tiles(tiling, chunks)
            mapping.report(tiles_before(plan, rows) / plan.count)

        chunks = products.resume(finished)
        keep = Keep(products.write, request.needs_scores, progress.check)
        kept = work.journal.pixels / (grid.rows * grid.cols)
        rows = sight.rows_of_tiles(tiling, chunks)
        tell_kept(kept, plan, rows, progress)
        told = len(settled.backend.warnings)
        sink = sight.sink(tiling, settled.backend.classes, chunks, keep)
        report = job.run(sink, mapping, rows)
        tell_warnings(settled.backend, told, progress)
        products.finish(Stage(progress, share, 1.0))
        style(products.map_file, classes)
        record.write(products.working, settled, products.counts, report, kept)
        progress.check()
        return products.publish(), report, kept
