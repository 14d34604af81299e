"""One land-cover map: from a raster and a model to files that are whole. Needs no QGIS."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from scasnet_qgis.core.blending import FinishedBlock
from scasnet_qgis.core.card import ModelClass
from scasnet_qgis.core.choices import PIXELS
from scasnet_qgis.core.ensemble import ONE_LOOK, Looks, averaging
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.core.segmentation import Inside, RunReport, Segmentation
from scasnet_qgis.core.windows import TilePlan, Window, plan_tiles
from scasnet_qgis.mapping_log import (
    describe,
    tell_backend,
    tell_input,
    tell_plan,
    tell_rules,
    tell_warnings,
)
from scasnet_qgis.models.backend import OnnxBackend, processors
from scasnet_qgis.models.compact import RawInput
from scasnet_qgis.models.memory import tile_limit
from scasnet_qgis.models.onnx_file import ModelInfo
from scasnet_qgis.raster.area_of_interest import AreaOfInterest
from scasnet_qgis.raster.class_map import ClassArea
from scasnet_qgis.raster.delivery import check_not_input, check_output
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.patches import SmallestPatch
from scasnet_qgis.raster.products import MapCounts, MapRules, open_products
from scasnet_qgis.raster.reader import RasterReader, files_of
from scasnet_qgis.raster.session import gdal_session, grow_cache
from scasnet_qgis.raster.writer import BLOCK

PANEL_BYTES = 48 * 1024 * 1024  # what is kept of a row of tiles over the width of a panel
# Shares of the progress; small patches, overviews and side files take the rest.
MAPPING_SHARE = 0.99
MAPPING_SHARE_WITH_SIEVE = 0.85

Style = Callable[[Path, Sequence[ModelClass]], object]


@dataclass(frozen=True)
class MapRequest:
    """What to map and how; None and 0 mean: what the model's card, or the device, advises.

    ``extent`` is x_min, y_min, x_max, y_max in the raster's coordinates; ``fallback_wkt`` is
    the reference system for a raster that states none. Pixels whose highest score is below
    ``min_confidence`` get no class, patches smaller than ``sieve`` that of a neighbour; 0 turns
    either off. ``sieve_unit`` is one of ``choices.PATCH_UNITS``. ``mask`` is a file of polygons,
    ``mask_layer`` the layer in it: what lies outside of all of them is not mapped.
    """

    source: str
    model: ModelInfo
    output: Path
    probabilities: Path | None = None
    bands: tuple[int, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    mask: str = ""
    mask_layer: str = ""
    device: str = "auto"
    tile_size: int | None = None
    overlap: int | None = None
    batch: int = 0
    threads: int = 0
    fallback_wkt: str = ""
    looks: Looks = ONE_LOOK
    min_confidence: float = 0.0
    sieve: float = 0.0
    sieve_unit: str = PIXELS


@dataclass(frozen=True)
class MapResult:
    """What came out of a run.

    ``seconds`` covers reading, computing and writing, overviews included, but not the start.
    """

    counts: MapCounts
    area_unit: str
    seconds: float
    megapixels_per_second: float
    provider: str
    report: RunReport
    plan: TilePlan

    @property
    def areas(self) -> list[ClassArea]:
        """Pixels and ground area of each class of the finished map."""
        return self.counts.areas

    @property
    def nodata_pixels(self) -> int:
        """Pixels where the image holds no data; those that are only uncertain do not count."""
        without_class = self.plan.rows * self.plan.cols - sum(each.pixels for each in self.areas)
        return without_class - self.counts.uncertain_pixels


def make_map(request: MapRequest, progress: Progress, style: Style) -> MapResult:
    """Classify a raster; ``style`` writes the style file beside the map before it is published.

    Raises a ScasNetError; whatever happens, no unfinished file stays.
    """
    check_request(request)
    with gdal_session():
        card = request.model.card
        reader = RasterReader(request.source, card.bands, request.bands, progress)
        _check_inputs(request)
        grid = _with_reference(reader.grid, request.fallback_wkt)
        area = grid.window_of(*request.extent) if request.extent else grid.whole
        part = grid.part(area)
        rules = rules_of(request, part)
        inside = _inside(request, grid, area, progress)
        scaling = reader.scaling(card)
        tile, overlap = tile_and_overlap(request)
        plan = make_plan(area, tile, overlap, request)
        grow_cache(reader.cache_for((plan.vertical.size, plan.horizontal.size)))
        raw = RawInput(str(reader.dtype), scaling.low, scaling.high)
        with _open_backend(request, plan, raw, progress) as backend:
            tell_input(reader, scaling, card, grid, progress)
            tell_backend(backend, progress)
            tell_rules(request.looks, request.min_confidence, rules.smallest, progress)
            job = Segmentation(
                reader,
                grid.whole,
                area,
                scaling,
                averaging(backend, request.looks),
                plan,
                backend.batch,
                inside,
            )
            tell_plan(plan, overlap, progress)
            started = time.monotonic()
            told = len(backend.warnings)
            counts, report = _write(request, part, rules, job, progress, style)
            tell_warnings(backend, told, progress)
            seconds = max(time.monotonic() - started, 1e-6)
            provider = describe(backend)
    speed = part.rows * part.cols / 1e6 / seconds
    return MapResult(counts, part.area_unit, seconds, speed, provider, report, plan)


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
    request.looks.check(request.model.fixed_size, request.model.margin)


def rules_of(request: MapRequest, grid: Grid) -> MapRules:
    """What is done to the model's answer on this grid; raises SettingError."""
    if request.sieve <= 0:
        return MapRules(request.min_confidence)
    smallest = SmallestPatch.of(request.sieve, request.sieve_unit, grid)
    return MapRules(request.min_confidence, smallest)


def _check_inputs(request: MapRequest) -> None:
    """Raise OutputError where an output would destroy an input."""
    files = [request.source, *files_of(request.source), str(request.model.path)]
    for output in filter(None, (request.output, request.probabilities)):
        check_not_input(output, files)


def tile_and_overlap(request: MapRequest) -> tuple[tuple[int, int], int]:
    """Tile size (rows, cols) and overlap in pixels of the model's input."""
    fixed = request.model.fixed_size
    card = request.model.card
    if fixed is not None:
        if request.tile_size and (request.tile_size, request.tile_size) != fixed:
            raise SettingError(
                translate(
                    "ScasNet",
                    "This model works with tiles of {rows} x {cols} pixels only: leave the "
                    "tile size empty.",
                ),
                rows=fixed[0],
                cols=fixed[1],
            )
        tile = fixed
    else:
        limit = tile_limit(request.model, request.threads or processors())
        size = request.tile_size or min(card.tile_size, limit)
        tile = (size, size)
    overlap = request.overlap
    if overlap is None:
        overlap = min(card.overlap, min(tile) // 2)
    if not 0 <= overlap < min(tile):
        raise SettingError(
            translate(
                "ScasNet",
                "The overlap ({overlap} pixels) must be smaller than the tile size ({value} "
                "pixels).",
            ),
            overlap=overlap,
            value=min(tile),
        )
    return tile, overlap


def make_plan(area: Window, tile: tuple[int, int], overlap: int, request: MapRequest) -> TilePlan:
    """The tiles of a run, in pixels of the model's output."""
    margin, classes = request.model.margin, request.model.classes
    rows, cols = tile[0] - 2 * margin, tile[1] - 2 * margin
    overlap = min(overlap, min(rows, cols) - 1)
    # A column holds scores where rows of tiles overlap, and labels. Probabilities that wait for
    # whole blocks come on top: at most BLOCK rows, hence the least that is counted for scores.
    column = 4 * classes * max(overlap, BLOCK // 4) + rows
    return plan_tiles(
        area.rows,
        area.cols,
        (rows, cols),
        overlap,
        fixed=request.model.fixed_size is not None,
        panel_cols=PANEL_BYTES // column,
        block=BLOCK,
    )


def _inside(request: MapRequest, grid: Grid, area: Window, progress: Progress) -> Inside | None:
    """Which pixels the user wants mapped; None: all of them."""
    if not request.mask:
        return None
    return AreaOfInterest(
        request.mask, grid, layer=request.mask_layer, area=area, progress=progress
    ).inside


def _open_backend(
    request: MapRequest,
    plan: TilePlan,
    raw: RawInput,
    progress: Progress,
) -> OnnxBackend:
    # Rounded scores would do for a plain map, but not where they are the result, and not where
    # tiles are resized.
    margin = 2 * request.model.margin
    tile = (plan.vertical.size + margin, plan.horizontal.size + margin)
    exact = request.probabilities is not None or request.looks.scales != (1.0,)
    return OnnxBackend(
        request.model,
        request.device,
        request.threads,
        request.looks.largest(tile),
        tiles=plan.count,
        batch=request.batch,
        progress=progress,
        raw=raw,
        eight_bit=False if exact else None,
    )


def _with_reference(grid: Grid, wkt: str) -> Grid:
    return grid if grid.wkt or not wkt else Grid(grid.rows, grid.cols, grid.geotransform, wkt)


def _write(
    request: MapRequest,
    grid: Grid,
    rules: MapRules,
    job: Segmentation,
    progress: Progress,
    style: Style,
) -> tuple[MapCounts, RunReport]:
    """Run the job into work folders and publish what is whole."""
    classes = request.model.card.classes
    share = MAPPING_SHARE if rules.smallest is None else MAPPING_SHARE_WITH_SIEVE
    files = open_products(request.output, request.probabilities, grid, classes, rules)
    with files as products:

        def keep(block: FinishedBlock) -> None:
            products.write(block if products.needs_scores else block.without_scores())

        report = job.run(keep, Stage(progress, 0.0, share))
        products.finish(Stage(progress, share, 1.0))
        style(products.map_file, classes)
        progress.check()
        return products.publish(), report
