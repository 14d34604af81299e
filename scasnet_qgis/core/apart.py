"""Labels of tiles that share no pixel: there is nothing to blend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.core.blending import NODATA_LABEL, FinishedBlock
from scasnet_qgis.core.windows import Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TilesApart:
    """Makes finished blocks as the ``Blender`` does, from labels in place of scores."""

    def __init__(self, plan: TilePlan, panel: Panel) -> None:
        if not plan.apart:
            raise ValueError("labels of tiles that overlap cannot be blended")
        self._plan, self._panel = plan, panel

    def add(
        self, tile: Tile, labels: NDArray[np.uint8] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """The block that a tile is; None if nothing of it lies in the panel.

        ``labels`` [1, rows, cols] over ``tile.out`` are classes from 1 on, None for a tile without
        data; ``valid`` [rows, cols] says which pixels hold data (None: all).
        """
        window = tile.out.intersect(Window(0, self._panel.col, self._plan.rows, self._panel.cols))
        if window.empty:
            return None
        first = window.col - tile.out.col
        part = slice(window.rows), slice(first, first + window.cols)
        shape = (window.rows, window.cols)
        if labels is None:
            holds_data, found = np.zeros(shape, np.bool_), np.full(shape, NODATA_LABEL, np.uint8)
        else:
            holds_data = np.ones(shape, np.bool_) if valid is None else valid[part]
            found = labels[0][part] * holds_data.view(np.uint8)
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, None, holds_data, panel, found)
