"""What the model sees of a raster, how that is cut into tiles, and how it becomes the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Callable, Protocol

import numpy as np

from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.nodata import skip_empty_windows
from scasnet_qgis.images.resampled_reader import ResampledReader
from scasnet_qgis.images.source import Image
from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping.model_grid import ModelGrid
from scasnet_qgis.mapping.plan import make_plan
from scasnet_qgis.mapping.resume import Tiling
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.outputs.geotiff import BLOCK
from scasnet_qgis.outputs.overviews import OPEN_BLOCKS
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.score_resampling import PIECE_BYTES, MapPlan, ScoreResampler
from scasnet_qgis.tiling.valid_pixels import MaskReader, intersect_masks
from scasnet_qgis.tiling.windows import Panel, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

ToMap = Callable[[FinishedBlock], Iterator[FinishedBlock]]

_MOST_COLUMNS = 2 * OPEN_BLOCKS * BLOCK  # of a panel; of wider ones, overviews would be read back


class ModelView(Protocol):
    """What the model sees of a raster: pixels of ``source``, the mapped ``area``, for what tiles
    ``inside`` holds anything; and how blocks of it become blocks of the map."""

    raster: Window
    area: Window
    inside: MaskReader | None

    @property
    def source(self) -> Image | ResampledReader:
        """Where the pixels come from."""

    def tiling(
        self, tile: tuple[int, int], overlap: int, model: ModelInfo, with_probabilities: bool
    ) -> Tiling:
        """How it is cut; ``tile`` (rows, cols) and ``overlap`` are pixels of the model's input."""

    def rows_of_tiles(self, tiling: Tiling, chunks: int) -> int:
        """How many rows of tiles are done, counted through the panels, with so many chunks."""

    def to_map(self, tiling: Tiling, classes: int, chunks: int, *, with_scores: bool) -> ToMap:
        """From a block of the blender to blocks of the map, in order, with scores or labels only.

        ``chunks`` of the map are there already.
        """


class NativeView:
    """The model sees the raster's own pixels: a row of tiles is a chunk of the map."""

    def __init__(
        self, reader: Image, raster: Window, area: Window, inside: MaskReader | None
    ) -> None:
        self.source, self.raster, self.area = reader, raster, area
        self.inside: MaskReader | None = skip_empty_windows(reader.may_hold_data, inside)

    def tiling(
        self, tile: tuple[int, int], overlap: int, model: ModelInfo, with_probabilities: bool
    ) -> Tiling:
        carried = self.source.carried(overlap)
        return Tiling(tile, overlap, make_plan(self.area, tile, overlap, model, carried))

    def rows_of_tiles(self, tiling: Tiling, chunks: int) -> int:
        return chunks

    def to_map(self, tiling: Tiling, classes: int, chunks: int, *, with_scores: bool) -> ToMap:
        return lambda block: iter([block if with_scores else block.without_scores()])


class ResampledView:
    """The model sees the raster resampled: a strip of a panel is a chunk of the map."""

    def __init__(
        self, reader: Image, seen: ModelGrid, area: Window, inside: MaskReader | None
    ) -> None:
        self._seen, self._own_area = seen, area
        self.source = ResampledReader(reader, seen.down, seen.across)
        # Asked by the thread that reads tiles and by the one that gives out the map.
        self._wanted = skip_empty_windows(self.source.may_hold_data, inside)
        self.raster, self.area = seen.whole, seen.area
        self.inside: MaskReader | None = self._touches

    def tiling(
        self, tile: tuple[int, int], overlap: int, model: ModelInfo, with_probabilities: bool
    ) -> Tiling:
        carried = self.source.carried(overlap)
        plan = make_plan(self.area, tile, overlap, model, carried)
        strips = strips_for(
            self._seen,
            plan.vertical.size,
            overlap,
            model.classes,
            carried,
            with_probabilities=with_probabilities,
        )
        return Tiling(tile, overlap, _with_panels(self._seen, plan, strips[0]), strips)

    def rows_of_tiles(self, tiling: Tiling, chunks: int) -> int:
        return self._map_plan(tiling).first_needed(chunks)

    def to_map(self, tiling: Tiling, classes: int, chunks: int, *, with_scores: bool) -> ToMap:
        plan = self._map_plan(tiling)
        return ScoreResampler(classes, plan, self._valid, with_scores=with_scores, done=chunks).add

    def _map_plan(self, tiling: Tiling) -> MapPlan:
        width, rows = tiling.strips or (BLOCK, BLOCK)
        panels = tuple(_panels(self._seen, width))
        return MapPlan(self._seen.down, self._seen.across, tiling.plan, panels, rows, BLOCK)

    def _touches(self, window: Window) -> NDArray[np.bool_] | None:
        """For a tile: whether any pixel to be mapped lies beside those that the model sees.

        Which ones exactly are mapped is settled on the raster's own grid.
        """
        top, bottom = self._seen.down.touching(window.row, window.row_end)
        left, right = self._seen.across.touching(window.col, window.col_end)
        own = Window(top, left, bottom - top, right - left).intersect(self._own_area)
        for row in range(own.row, own.row_end, BLOCK):
            found = self._wanted(Window(row, own.col, BLOCK, own.cols).intersect(own))
            if found is None or found.any():
                return None
        return np.zeros((window.rows, window.cols), dtype=np.bool_)

    def _valid(self, window: Window) -> NDArray[np.bool_] | None:
        """Which of the raster's own pixels hold data and are to be mapped."""
        placed = window.shift(self._own_area.row, self._own_area.col)
        wanted = self._wanted(placed)
        if wanted is not None and not wanted.any():
            return wanted
        return intersect_masks(self.source.holds_data(placed), wanted)


def _panels(seen: ModelGrid, width: int) -> Iterator[tuple[int, int]]:
    """First column and number of columns of each panel of the map."""
    for col in range(0, seen.across.count, width):
        yield col, min(width, seen.across.count - col)


def _with_panels(seen: ModelGrid, plan: TilePlan, width: int) -> TilePlan:
    """``plan`` over what the model sees, with the panels that those of the map need."""
    panels = []
    for col, cols in _panels(seen, width):
        start, end = seen.across.needed(col, cols)
        panels.append(Panel(start, end - start, plan.horizontal.touching(start, end)))
    return replace(plan, panels=tuple(panels))


def model_view(
    reader: Image, grid: Grid, area: Window, inside: MaskReader | None, seen: ModelGrid | None
) -> ModelView:
    """``grid`` is the whole raster's, ``area`` and ``inside`` say what of it is mapped.

    What is known to hold no data is left out without being read.
    """
    if seen is None:
        return NativeView(reader, grid.whole, area, inside)
    return ResampledView(reader, seen, area, inside)


def strips_for(
    seen: ModelGrid,
    tile_rows: int,
    overlap: int,
    classes: int,
    carried: int,
    *,
    with_probabilities: bool,
) -> tuple[int, int]:
    """Columns of a panel of the map and rows of a strip, so that a panel takes bounded memory.

    ``tile_rows`` and ``overlap`` are pixels of the plan, ``carried`` the bytes of raw rows that are
    kept for each column that the model sees.
    """
    down, across = seen.down.factor, seen.across.factor
    rows = BLOCK if down >= 1 else BLOCK // 4
    while rows > 16 and 4 * classes * rows * BLOCK > 2 * PIECE_BYTES:
        rows //= 2
    kept = tile_rows + ceil(rows / down) + 2
    column = (4 * classes + 1) * kept + 4 * classes * overlap + carried
    # What of the map waits for whole blocks of the file; its scores, too, if they are wanted.
    waiting = BLOCK + (4 * classes * (BLOCK - rows) if with_probabilities else 0)
    cols = int(mapping_plan.PANEL_BYTES / (column / across + waiting))
    # At least so many that no two panels begin with the same pixel that the model sees.
    least = ceil(2 * across / BLOCK)
    blocks = max(min(cols, _MOST_COLUMNS) // BLOCK, least, 1)
    return blocks * BLOCK, rows
