"""Class scores of overlapping tiles, blended tile by tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.windows import Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODATA_LABEL = 0


_CHUNK = 32  # rows labelled at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class FinishedBlock:
    """Pixels that no later tile touches.

    ``scores`` [classes, rows, cols] add up to 1 where ``valid`` [rows, cols] is True; None in a
    block that is ``without_scores``. Blocks come from left to right, the rows of blocks from top
    to bottom. ``panel`` are the first column and the number of columns that a row of blocks fills;
    None stands for those of the window.
    """

    window: Window
    scores: NDArray[np.float32] | None
    valid: NDArray[np.bool_]
    panel: tuple[int, int] | None = None
    known_labels: NDArray[np.uint8] | None = None

    @property
    def row(self) -> Window:
        """The window of the whole row of blocks that this one is a part of."""
        col, cols = self.panel or (self.window.col, self.window.cols)
        return Window(self.window.row, col, self.window.rows, cols)

    def labels(self) -> NDArray[np.uint8]:
        """Class k as value k + 1, 0 where there is no data; [rows, cols]."""
        if self.known_labels is not None:
            return self.known_labels
        if self.scores is None or not self.valid.any():
            return _nothing(self.valid)
        labels = highest(self.scores)
        labels *= self.valid.view(np.uint8)
        return labels

    def without_scores(self) -> FinishedBlock:
        """The same with its labels only, which are a small part of the memory."""
        return replace(self, scores=None, known_labels=self.labels())

    def uncertain(self, confidence: float) -> NDArray[np.bool_]:
        """Which pixels hold data and have no score of ``confidence`` or more; [rows, cols]."""
        if self.scores is None:
            raise ValueError("a block without scores does not know how certain it is")
        return self.valid & (self.scores.max(axis=0) < np.float32(confidence))


def highest(scores: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """One more than the index of the highest of scores [classes, rows, cols], the first of equals.

    A tenth of the time of numpy's argmax, which walks across the planes.
    """
    labels = np.ones(scores.shape[1:], dtype=np.uint8)
    for row in range(0, labels.shape[0], _CHUNK):
        planes, found = scores[:, row : row + _CHUNK], labels[row : row + _CHUNK]
        best = planes[0].copy()
        for index in range(1, len(planes)):
            higher = planes[index] > best
            np.maximum(best, planes[index], out=best)
            # Classes come in ascending order, so the larger number is the later find.
            np.maximum(found, higher.view(np.uint8) * np.uint8(index + 1), out=found)
    return labels


def _nothing(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.full(valid.shape, NODATA_LABEL, dtype=np.uint8)


class Blender:
    """Adds up weighted scores over one panel, tile by tile in the order of the plan.

    Only what later tiles will add to is kept: the columns to the right of a tile's block for its
    neighbour, and the rows below it for the next row of tiles. Memory: classes x overlap x panel
    columns, whatever the raster's height.
    """

    def __init__(self, classes: int, plan: TilePlan, panel: Panel) -> None:
        self._plan, self._panel = plan, panel
        tiles, across = panel.tile_cols, plan.horizontal
        self._left = across.starts[tiles[0]]
        cols = across.starts[tiles[-1]] + across.size - self._left
        below = plan.vertical.largest_overlap
        self._below = np.zeros((classes, below, cols), dtype=np.float32)
        self._right = np.zeros((classes, plan.vertical.size, 0), dtype=np.float32)
        self._nowhere = np.zeros((plan.vertical.size, across.size), dtype=np.bool_)

    def add(
        self, tile: Tile, scores: NDArray[np.float32] | None, valid: NDArray[np.bool_] | None
    ) -> FinishedBlock | None:
        """Add a tile and give out what it finishes; None if nothing of that lies in the panel.

        ``scores`` [classes, rows, cols] over ``tile.out``, None for a tile without data;
        ``valid`` [rows, cols] says which pixels hold data (None: all). The scores are changed.
        """
        rows, cols = self._finished_size(tile)
        if scores is None:
            return self._without_data(tile, rows, cols)
        whole = self._weighted(tile, scores)
        if tile.col == self._panel.tile_cols[0]:
            self._right = self._right[:, :, :0]
        whole[:, :, : self._right.shape[2]] += self._right
        self._right = whole[:, :, cols:].copy()
        self._exchange_below(tile, whole, rows, cols)
        holds_data = np.ones(whole.shape[1:], dtype=np.bool_) if valid is None else valid
        return self._block(tile, whole, holds_data, rows, cols)

    def _without_data(self, tile: Tile, rows: int, cols: int) -> FinishedBlock | None:
        """Nothing is added up where no pixel will get a class, as what others left there is void.

        Large rasters may hold millions of such tiles.
        """
        shape = (self._plan.vertical.size, self._plan.horizontal.size)
        self._right = self._right[:, :, :0]
        nothing = np.broadcast_to(np.float32(0), (len(self._below), *shape))
        return self._block(tile, nothing, self._nowhere, rows, cols)

    def _weighted(self, tile: Tile, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        plan = self._plan
        _weigh(scores, plan.vertical.weights(tile.row)[:, None], 1)
        _weigh(scores, plan.horizontal.weights(tile.col), 2)
        return scores

    def _finished_size(self, tile: Tile) -> tuple[int, int]:
        """Rows and columns of a tile, from its top left corner, that no later tile touches."""
        sizes = []
        for axis, index in ((self._plan.vertical, tile.row), (self._plan.horizontal, tile.col)):
            last = index == len(axis) - 1
            sizes.append(axis.size if last else axis.starts[index + 1] - axis.starts[index])
        if tile.col == self._panel.tile_cols[-1]:
            sizes[1] = self._plan.horizontal.size
        return sizes[0], sizes[1]

    def _exchange_below(self, tile: Tile, whole: NDArray[np.float32], rows: int, cols: int) -> None:
        """Take what the row above left under these columns, and leave the own lower rows."""
        left = self._plan.horizontal.starts[tile.col] - self._left
        kept = self._below[:, :, left : left + cols]
        if tile.row > 0:
            starts = self._plan.vertical.starts
            carried = starts[tile.row - 1] + self._plan.vertical.size - starts[tile.row]
            whole[:, :carried, :cols] += kept[:, :carried]
        kept[:, : whole.shape[1] - rows] = whole[:, rows:, :cols]

    def _block(
        self,
        tile: Tile,
        whole: NDArray[np.float32],
        valid: NDArray[np.bool_],
        rows: int,
        cols: int,
    ) -> FinishedBlock | None:
        raster = Window(0, self._panel.col, self._plan.rows, self._panel.cols)
        window = Window(tile.out.row, tile.out.col, rows, cols).intersect(raster)
        if window.empty:
            return None
        part = (
            slice(0, window.rows),
            slice(window.col - tile.out.col, window.col_end - tile.out.col),
        )
        panel = (self._panel.col, self._panel.cols)
        return FinishedBlock(window, whole[(slice(None), *part)], valid[part], panel)


def _weigh(scores: NDArray[np.float32], weights: NDArray[np.float32], axis: int) -> None:
    """Multiply scores [classes, rows, cols] along an axis, touching only what overlaps."""
    inner = np.flatnonzero(weights.ravel() == 1)
    first, end = (int(inner[0]), int(inner[-1]) + 1) if inner.size else (weights.size, weights.size)
    for part in (slice(0, first), slice(end, weights.size)):
        at = (slice(None), part) if axis == 1 else (slice(None), slice(None), part)
        scores[at] *= weights[part]
