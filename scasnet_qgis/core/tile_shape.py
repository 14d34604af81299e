"""The sides of tiles that compute the least twice, with no more pixels than they are allowed."""

from __future__ import annotations

from math import log, sqrt

from scasnet_qgis.core.windows import SIZE_STEP, TilePlan, plan_axis, plan_tiles

STRETCH = sqrt(2)  # how much longer a side may be than was asked for, where the other is shorter


def fitting_tiles(
    rows: int,
    cols: int,
    tile: tuple[int, int],
    overlap: int,
    *,
    fixed: bool,
    panel_cols: int,
    block: int,
) -> TilePlan:
    """As ``plan_tiles``, but tiles that are not ``fixed`` get the shape that fits the raster."""
    if not fixed:
        tile = tile_shape(rows, cols, tile, overlap)
    return plan_tiles(rows, cols, tile, overlap, fixed=fixed, panel_cols=panel_cols, block=block)


def tile_shape(rows: int, cols: int, tile: tuple[int, int], overlap: int) -> tuple[int, int]:
    """Rows and columns of the tiles for a raster of ``rows`` x ``cols`` pixels.

    They hold at most the pixels of ``tile`` (rows, cols). Square tiles seldom fit both sides of a
    raster: they shrink, which makes them more and their overlaps a larger part of them. What one
    side gives up the other may take, so a tile's memory is much the same for all rasters.
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
