"""The tile shape with the least overlap for a raster, within a number of pixels."""

from __future__ import annotations

from math import log, sqrt

from scasnet_qgis.tiling.windows import SIZE_STEP, TilePlan, plan_axis, plan_tiles

STRETCH = sqrt(2)  # times; how much longer than asked for a side may be, where the other is shorter


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
