"""How a run is cut into tiles."""

from __future__ import annotations

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.mapping.settings import TilingOptions
from scasnet_qgis.models.backend import processors
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.models.tile_memory import tile_limit
from scasnet_qgis.outputs.geotiff import BLOCK
from scasnet_qgis.tiling.windows import TilePlan, Window, plan_fitted_tiles

PANEL_BYTES = 20 * 1024 * 1024  # what is kept of a row of tiles over the width of a panel
# Blocks that wide panels begin at multiples of, so that few blocks of overviews lie over two.
ALIGNED = 8


def tile_and_overlap(
    model: ModelInfo, tiling: TilingOptions, threads: int
) -> tuple[tuple[int, int], int]:
    """Tile size (rows, cols) and overlap in pixels of the model's input; 0 ``threads``: all."""
    fixed, card = model.fixed_size, model.card
    if fixed is not None:
        if tiling.tile_size and (tiling.tile_size, tiling.tile_size) != fixed:
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
        limit = tile_limit(model, threads or processors())
        size = tiling.tile_size or min(card.tile_size, limit)
        tile = (size, size)
    overlap = tiling.overlap
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


def make_plan(
    area: Window, tile: tuple[int, int], overlap: int, model: ModelInfo, carried: int = 0
) -> TilePlan:
    """The tiles of a run, in pixels of the model's output.

    ``carried`` are the bytes of raw rows that are kept for each column of a panel.
    """
    margin, classes = model.margin, model.classes
    rows, cols = tile[0] - 2 * margin, tile[1] - 2 * margin
    overlap = min(overlap, min(rows, cols) - 1)
    # A column holds scores where rows of tiles overlap, raw rows, and rows of labels and of their
    # overviews that wait for whole blocks. Probabilities that do so come on top.
    column = 4 * classes * max(overlap, BLOCK // 8) + carried + 2 * BLOCK
    panel_cols = PANEL_BYTES // column
    return plan_fitted_tiles(
        area.rows,
        area.cols,
        (rows, cols),
        overlap,
        fixed=model.fixed_size is not None,
        panel_cols=panel_cols,
        block=BLOCK if panel_cols < 4 * ALIGNED * BLOCK else ALIGNED * BLOCK,
    )
