"""One land-cover map: from a raster and a model to files that are whole. Needs no QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Callable

from scasnet_qgis.core.blending import FinishedBlock
from scasnet_qgis.core.card import ModelCard, ModelClass
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.core.segmentation import RunReport, Segmentation
from scasnet_qgis.core.windows import TilePlan, Window, plan_tiles
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.onnx_file import ModelInfo
from scasnet_qgis.raster.class_map import (
    ClassArea,
    ClassMapWriter,
    ProbabilityWriter,
    finish_all,
)
from scasnet_qgis.raster.delivery import Delivery, check_output
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.reader import RasterReader
from scasnet_qgis.raster.session import gdal_session
from scasnet_qgis.raster.writer import BLOCK

PANEL_BYTES = 48 * 1024 * 1024  # what is kept of a row of tiles over the width of a panel
MAPPING_SHARE = 0.95  # of the progress; overviews and side files take the rest

Style = Callable[[Path, Sequence[ModelClass]], object]


@dataclass(frozen=True)
class MapRequest:
    """What to map and how; None and 0 mean: what the model's card advises.

    ``extent`` is x_min, y_min, x_max, y_max in the raster's coordinates; ``fallback_wkt`` is
    the reference system for a raster that states none.
    """

    source: str
    model: ModelInfo
    output: Path
    probabilities: Path | None = None
    bands: tuple[int, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    device: str = "auto"
    tile_size: int | None = None
    overlap: int | None = None
    batch: int = 1
    threads: int = 0
    fallback_wkt: str = ""


@dataclass(frozen=True)
class MapResult:
    """What came out of a run. ``seconds`` covers reading, computing and writing the map."""

    areas: list[ClassArea]
    area_unit: str
    seconds: float
    megapixels_per_second: float
    provider: str
    report: RunReport
    plan: TilePlan


def make_map(request: MapRequest, progress: Progress, style: Style) -> MapResult:
    """Classify a raster; ``style`` writes the style file beside the map before it is published.

    Raises a ScasNetError; whatever happens, no unfinished file stays.
    """
    check_request(request)
    with gdal_session():
        card = request.model.card
        reader = RasterReader(request.source, card.bands, request.bands, progress)
        grid = _with_reference(reader.grid, request.fallback_wkt)
        area = grid.window_of(*request.extent) if request.extent else grid.whole
        part = grid.part(area)
        tile, overlap = tile_and_overlap(request)
        with OnnxBackend(request.model, request.device, request.threads, tile) as backend:
            _tell(reader, card, grid, backend, progress)
            plan = make_plan(area, tile, overlap, request, backend)
            job = Segmentation(
                reader,
                grid.whole,
                area,
                reader.scaling(card),
                backend,
                plan,
                backend.batch_limit or request.batch,
            )
            areas, report = _write(request, part, job, progress, style)
            provider = describe(backend)
    seconds = max(report.seconds, 1e-6)
    speed = part.rows * part.cols / 1e6 / seconds
    return MapResult(areas, part.area_unit, seconds, speed, provider, report, plan)


def check_request(request: MapRequest) -> None:
    """Raise a ScasNetError for what can be seen to fail before anything is opened."""
    check_output(request.output)
    if Path(request.source) == request.output:
        raise SettingError("The output must not be the input raster: choose another name.")
    if request.probabilities is not None:
        check_output(request.probabilities)
        if request.probabilities in (request.output, Path(request.source)):
            raise SettingError("The probabilities need a file of their own: choose another name.")
    tile_and_overlap(request)


def tile_and_overlap(request: MapRequest) -> tuple[tuple[int, int], int]:
    """Tile size (rows, cols) and overlap in pixels of the model's input."""
    fixed = request.model.fixed_size
    card = request.model.card
    if fixed is not None:
        if request.tile_size and (request.tile_size, request.tile_size) != fixed:
            raise SettingError(
                f"This model works with tiles of {fixed[0]} x {fixed[1]} pixels only: leave the "
                "tile size empty."
            )
        tile = fixed
    else:
        size = request.tile_size or card.tile_size
        tile = (size, size)
    overlap = request.overlap
    if overlap is None:
        overlap = min(card.overlap, min(tile) // 2)
    if not 0 <= overlap < min(tile):
        raise SettingError(
            f"The overlap ({overlap} pixels) must be smaller than the tile size "
            f"({min(tile)} pixels)."
        )
    return tile, overlap


def make_plan(
    area: Window, tile: tuple[int, int], overlap: int, request: MapRequest, backend: OnnxBackend
) -> TilePlan:
    """The tiles of a run, in pixels of the model's output."""
    rows, cols = tile[0] - 2 * backend.margin, tile[1] - 2 * backend.margin
    overlap = min(overlap, min(rows, cols) - 1)
    scores = 4 * backend.classes
    # A column holds scores where rows of tiles overlap, labels and maybe scores of finished rows.
    column = scores * overlap + rows * (1 + (scores if request.probabilities else 0))
    return plan_tiles(
        area.rows,
        area.cols,
        (rows, cols),
        overlap,
        fixed=request.model.fixed_size is not None,
        panel_cols=PANEL_BYTES // column,
        block=BLOCK,
    )


def describe(backend: OnnxBackend) -> str:
    """Which execution provider ran, with how many threads."""
    count = f"{backend.threads} thread" + ("s" if backend.threads != 1 else "")
    return f"{backend.provider}, {count}"


def _with_reference(grid: Grid, wkt: str) -> Grid:
    return grid if grid.wkt or not wkt else Grid(grid.rows, grid.cols, grid.geotransform, wkt)


def _tell(
    reader: RasterReader, card: ModelCard, grid: Grid, backend: OnnxBackend, progress: Progress
) -> None:
    pairs = zip(card.bands, reader.bands)
    progress.info("Bands: " + ", ".join(f"{name} from band {number}" for name, number in pairs))
    progress.info(reader.rule.sentence)
    progress.info(f"The model runs on {describe(backend)}.")
    for text in backend.warnings:
        progress.warn(text)
    text = resolution_warning(card, grid)
    if text:
        progress.warn(text)


def resolution_warning(card: ModelCard, grid: Grid) -> str:
    """A sentence where the raster is finer or coarser than what the model knows, else ""."""
    here = grid.resolution
    low, high = card.resolution or (0.0, inf)
    if here is None or low <= here <= high:
        return ""
    return (
        f"The raster has a ground resolution of {here:.2f} m, but the model was trained at "
        f"{low:g} to {high:g} m: expect a worse map, or resample the raster first."
    )


def _write(
    request: MapRequest, grid: Grid, job: Segmentation, progress: Progress, style: Style
) -> tuple[list[ClassArea], RunReport]:
    """Run the job into work folders and publish what is whole."""
    classes = request.model.card.classes
    deliveries: list[Delivery] = []
    writers: list[ClassMapWriter | ProbabilityWriter] = []
    try:
        for path, kind in _products(request):
            deliveries.append(Delivery(path))
            writers.append(kind(deliveries[-1], grid, classes))

        def sink(block: FinishedBlock) -> None:
            for writer in writers:
                writer.write(block)

        report = job.run(sink, Stage(progress, 0.0, MAPPING_SHARE))
        finish_all(writers, Stage(progress, MAPPING_SHARE, 1.0))
        style(deliveries[-1].working, classes)
        progress.check()
        for delivery in deliveries:
            delivery.publish()
        map_writer = writers[-1]
        return (map_writer.areas if isinstance(map_writer, ClassMapWriter) else []), report
    finally:
        for writer in writers:
            writer.abandon()
        for delivery in deliveries:
            delivery.discard()


def _products(
    request: MapRequest,
) -> list[tuple[Path, type[ClassMapWriter] | type[ProbabilityWriter]]]:
    """The files to write; the map last, so that it is there only if everything is."""
    products: list[tuple[Path, type[ClassMapWriter] | type[ProbabilityWriter]]] = []
    if request.probabilities is not None:
        products.append((request.probabilities, ProbabilityWriter))
    products.append((request.output, ClassMapWriter))
    return products
