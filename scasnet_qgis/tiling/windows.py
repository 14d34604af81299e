"""Windows of a raster, and the plan of the overlapping tiles that cover it.

Rows count downwards from 0, columns to the right. All functions are pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE_STEP = 8  # tile sizes that are not fixed are multiples of it, the output stride of ScasNet
MIN_RASTER_SIZE = 64  # pixels; smaller rasters are mirrored up to it, or the network has no context
STRETCH = sqrt(2)  # times; how much longer than asked for a side may be, where the other is shorter
STEP = 1024  # rows and columns of aligned windows; a multiple of what blocks of files usually have


@dataclass(frozen=True)
class Window:
    """Rows ``row`` to ``row + rows``, columns ``col`` to ``col + cols`` (both ends exclusive)."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def row_end(self) -> int:
        return self.row + self.rows

    @property
    def col_end(self) -> int:
        return self.col + self.cols

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def empty(self) -> bool:
        return self.rows <= 0 or self.cols <= 0

    def intersect(self, other: Window) -> Window:
        """The intersection; ``empty`` where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        row_end, col_end = min(self.row_end, other.row_end), min(self.col_end, other.col_end)
        return Window(row, col, max(row_end - row, 0), max(col_end - col, 0))

    def grow(self, pixels: int) -> Window:
        """The window with ``pixels`` more on every side."""
        return Window(
            self.row - pixels, self.col - pixels, self.rows + 2 * pixels, self.cols + 2 * pixels
        )

    def shift(self, rows: int, cols: int) -> Window:
        return Window(self.row + rows, self.col + cols, self.rows, self.cols)


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis: ``starts`` ascending, all of one ``size``.

    Contract: the first starts at 0, the last ends at or after ``length`` (after it only if there is
    one tile), neighbours overlap by at least the overlap asked for.
    """

    length: int
    size: int
    starts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def largest_overlap(self) -> int:
        """The most pixels that two neighbouring tiles share."""
        steps = [after - before for before, after in zip(self.starts, self.starts[1:])]
        return self.size - min(steps, default=self.size)

    def touching(self, start: int, end: int) -> range:
        """Indices of the tiles that overlap ``start`` to ``end`` (exclusive)."""
        return range(bisect_right(self.starts, start - self.size), bisect_left(self.starts, end))

    def _ramp(self, index: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height of a tile's trapezoid at pixel centres; 0 outside the tile."""
        start = self.starts[index]
        end = start + self.size
        height = np.where((positions > start) & (positions < end), 1.0, 0.0)
        if index > 0:
            overlap = self.starts[index - 1] + self.size - start
            height = np.minimum(height, (positions - start) / max(overlap, 1))
        if index < len(self) - 1:
            overlap = end - self.starts[index + 1]
            height = np.minimum(height, (end - positions) / max(overlap, 1))
        return np.maximum(height, 0.0)

    def weights(self, index: int) -> NDArray[np.float32]:
        """Blend weights of a tile's pixels; over all tiles they add up to 1 at every pixel.

        The array is shared by all tiles with the same weights, and read-only.
        """
        start = self.starts[index]
        near = self.touching(start, start + self.size)
        first = max(near.start - 1, 0)  # its ramp depends on the tile after it
        neighbours = tuple(tile_start - start for tile_start in self.starts[first : near.stop + 1])
        return _weights(self.size, neighbours, index - first)


@lru_cache(maxsize=64)
def _weights(size: int, starts: tuple[int, ...], index: int) -> NDArray[np.float32]:
    """Blend weights of the tile that starts at 0, one of ``starts``."""
    axis = Axis(size, size, starts)
    positions = np.arange(size) + 0.5
    total = sum((axis._ramp(i, positions) for i in axis.touching(0, size)), np.zeros(size))
    weights: NDArray[np.float32] = axis._ramp(index, positions) / np.maximum(total, 1e-9)
    weights = weights.astype(np.float32)
    weights.setflags(write=False)
    return weights


def plan_axis(length: int, tile: int, overlap: int, *, fixed: bool) -> Axis:
    """Spread tiles of at most ``tile`` pixels evenly over ``length`` pixels.

    Unless ``fixed``, the tile size shrinks to what the number of tiles needs, so that little is
    computed twice; fixed tiles overlap more instead.
    """
    if not 0 <= overlap < tile:
        raise SettingError(
            translate(
                "ScasNet",
                "The overlap ({overlap} pixels) must be smaller than the tile size ({tile} "
                "pixels).",
            ),
            overlap=overlap,
            tile=tile,
        )
    if length <= tile:
        return Axis(length, tile if fixed else max(length, min(tile, MIN_RASTER_SIZE)), (0,))
    count = ceil((length - overlap) / (tile - overlap))
    size = tile
    if not fixed:
        needed = ceil((length + (count - 1) * overlap) / count)
        size = min(tile, ceil(needed / SIZE_STEP) * SIZE_STEP)
    free = length - size
    # free <= (count - 1) (size - overlap), so no step is longer than size - overlap.
    return Axis(length, size, tuple(free * i // (count - 1) for i in range(count)))


@dataclass(frozen=True)
class Tile:
    """A tile of a plan; ``row`` and ``col`` are its indices along the two axes.

    ``out`` is the window of its scores, which may reach over the raster's edge.
    """

    row: int
    col: int
    out: Window


@dataclass(frozen=True)
class Panel:
    """A range of columns of the raster, mapped from top to bottom before the next one."""

    col: int
    cols: int
    tile_cols: range


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a raster, or of the area of it that is mapped."""

    vertical: Axis
    horizontal: Axis
    panels: tuple[Panel, ...]

    @property
    def rows(self) -> int:
        return self.vertical.length

    @property
    def cols(self) -> int:
        return self.horizontal.length

    @property
    def count(self) -> int:
        """How many tiles are computed; one over a panel's edge counts in each panel."""
        return len(self.vertical) * sum(len(panel.tile_cols) for panel in self.panels)

    @property
    def computed_pixels(self) -> int:
        return self.count * self.vertical.size * self.horizontal.size

    def row_tiles(self, panel: Panel, row: int) -> Iterator[Tile]:
        """The tiles of one row of a panel, from left to right."""
        top, size = self.vertical.starts[row], (self.vertical.size, self.horizontal.size)
        for col in panel.tile_cols:
            yield Tile(row, col, Window(top, self.horizontal.starts[col], *size))


def plan_tiles(
    rows: int,
    cols: int,
    tile: tuple[int, int],
    overlap: int,
    *,
    fixed: bool,
    panel_cols: int,
    block: int,
) -> TilePlan:
    """Cut ``rows`` x ``cols`` pixels into tiles of at most ``tile`` (rows, cols) pixels.

    Panels are at most ``panel_cols`` wide and begin at multiples of ``block`` columns, so that
    each block of the output file belongs to one panel. They are as few as possible, and about
    equal.
    """
    vertical = plan_axis(rows, tile[0], overlap, fixed=fixed)
    horizontal = plan_axis(cols, tile[1], overlap, fixed=fixed)
    max_cols = max(panel_cols // block, 1) * block
    count = ceil(cols / max_cols)
    width = ceil(cols / (count * block)) * block
    panels = []
    for start in range(0, cols, width):
        end = min(start + width, cols)
        panels.append(Panel(start, end - start, horizontal.touching(start, end)))
    return TilePlan(vertical, horizontal, tuple(panels))


def aligned_windows(area: Window, step: int = STEP) -> Iterator[Window]:
    """The parts of ``area`` between multiples of ``step``, row by row."""
    for row in range(area.row // step * step, area.row_end, step):
        for col in range(area.col // step * step, area.col_end, step):
            yield Window(row, col, step, step).intersect(area)


def count_windows(area: Window, step: int = STEP) -> int:
    """How many windows there are."""
    if area.empty:
        return 0
    rows = (area.row_end - 1) // step - area.row // step + 1
    return rows * ((area.col_end - 1) // step - area.col // step + 1)


def plan_fitted_tiles(
    rows: int,
    cols: int,
    tile: tuple[int, int],
    overlap: int,
    *,
    fixed: bool,
    panel_cols: int,
    block: int,
) -> TilePlan:
    """``plan_tiles`` with the ``tile_shape`` of the raster, unless the tile size is ``fixed``."""
    if not fixed:
        tile = tile_shape(rows, cols, tile, overlap)
    return plan_tiles(rows, cols, tile, overlap, fixed=fixed, panel_cols=panel_cols, block=block)


def tile_shape(rows: int, cols: int, tile: tuple[int, int], overlap: int) -> tuple[int, int]:
    """Rows and columns of the tiles for a raster of ``rows`` x ``cols`` pixels.

    They have at most the pixels of ``tile`` (rows, cols). Square tiles seldom fit both sides of a
    raster: they shrink, so that there are more of them and overlaps are a larger share. Instead,
    one side may grow as the other shrinks; a tile's memory is much the same for all rasters.
    """
    shapes = [tile]
    for side in range(SIZE_STEP, int(tile[0] * STRETCH) + 1, SIZE_STEP):
        other = tile[0] * tile[1] // side // SIZE_STEP * SIZE_STEP
        if overlap < side >= tile[0] / STRETCH and overlap < other >= tile[1] / STRETCH:
            shapes.append((side, other))

    def cost(shape: tuple[int, int]) -> tuple[int, float]:
        vertical = plan_axis(rows, shape[0], overlap, fixed=False)
        horizontal = plan_axis(cols, shape[1], overlap, fixed=False)
        computed = len(vertical) * vertical.size * len(horizontal) * horizontal.size
        return computed, abs(log(shape[0] / shape[1]))

    return min(shapes, key=cost)


@dataclass(frozen=True)
class RemainingRows:
    """Rows of tiles of a panel; those before ``first`` are done but overlap ones that are not."""

    panel: Panel
    rows: range
    first: int

    @property
    def recomputed_tiles(self) -> int:
        """How many tiles are done, but are computed again for their overlaps."""
        return (self.first - self.rows.start) * len(self.panel.tile_cols)


def remaining_rows(plan: TilePlan, start: int) -> Iterator[RemainingRows]:
    """By panel, what is left of the plan after ``start`` rows of tiles."""
    count = len(plan.vertical)
    for index, panel in enumerate(plan.panels):
        first = min(max(start - index * count, 0), count)
        if first < count:
            # The tiles that the first missing row is blended with begin above it.
            top = plan.vertical.touching(plan.vertical.starts[first], plan.rows).start
            yield RemainingRows(panel, range(top, count), first)


def recomputed_tiles(plan: TilePlan, start: int) -> int:
    """How many tiles of the first ``start`` rows overlap remaining ones, which need them."""
    return sum(remaining.recomputed_tiles for remaining in remaining_rows(plan, start))


def tiles_in_rows(plan: TilePlan, rows: int) -> int:
    """How many tiles the first ``rows`` rows of tiles have, counted panel after panel."""
    panels, rest = divmod(rows, len(plan.vertical))
    widths = [len(panel.tile_cols) for panel in plan.panels]
    return len(plan.vertical) * sum(widths[:panels]) + rest * sum(widths[panels : panels + 1])
