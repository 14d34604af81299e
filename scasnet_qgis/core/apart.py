"""Labels of overlapping tiles without blending: each tile up to the middle of its overlaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.core.blending import NODATA_LABEL, FinishedBlock
from scasnet_qgis.core.preprocessing import part_of
from scasnet_qgis.core.windows import Axis, Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


class UnblendedTiles:
    """Gives finished blocks as the ``Blender`` does, from labels in place of scores.

    Where tiles overlap, because their sizes are rounded or fixed, each counts up to the middle.
    """

    def __init__(self, plan: TilePlan, panel: Panel) -> None:
        self._plan, self._panel = plan, panel

    def add(
        self, tile: Tile, labels: NDArray[np.uint8] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """The block of a tile; None if nothing of it lies in the panel.

        ``labels`` [1, rows, cols] over ``tile.out`` are classes from 1 on, None for a tile without
        data; ``valid`` [rows, cols] says which pixels hold data (None: all).
        """
        top, bottom = _own_range(self._plan.vertical, tile.row)
        left, right = _own_range(self._plan.horizontal, tile.col)
        own = Window(top, left, bottom - top, right - left)
        window = own.intersect(Window(0, self._panel.col, self._plan.rows, self._panel.cols))
        if window.empty:
            return None
        at = part_of(window, tile.out)[1:]
        shape = (window.rows, window.cols)
        if labels is None:
            holds_data, values = np.zeros(shape, np.bool_), np.full(shape, NODATA_LABEL, np.uint8)
        else:
            holds_data = np.ones(shape, np.bool_) if valid is None else valid[at]
            values = labels[0][at] * holds_data.view(np.uint8)
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, None, holds_data, panel, values)


def _own_range(axis: Axis, index: int) -> tuple[int, int]:
    """Start and end of a tile without its neighbours' halves of the overlaps."""
    starts, last = axis.starts, len(axis) - 1
    start = 0 if index == 0 else (starts[index - 1] + axis.size + starts[index]) // 2
    end = axis.length if index == last else (starts[index] + axis.size + starts[index + 1]) // 2
    return start, end
