"""Class scores on the model's pixel grid become finished blocks on the raster's own one.

Scores are interpolated linearly between the centres of the model's pixels, and the highest of them
is the class; labels are never averaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Callable

import numpy as np

from scasnet_qgis.core.blending import FinishedBlock, highest
from scasnet_qgis.core.two_grids import AxisResampling
from scasnet_qgis.core.windows import Panel, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

Neighbours = tuple["NDArray[np.intp]", "NDArray[np.intp]", "NDArray[np.float32]"]

PIECE_BYTES = 4 * 1024 * 1024  # of scores that are given out at a time
_UNSURE = 255  # above every label: what the neighbours do not agree on

# Which pixels of a window of the mapped part, on the raster's own grid, get a class (None: all).
Valid = Callable[[Window], "NDArray[np.bool_] | None"]


@dataclass(frozen=True)
class MapPlan:
    """How the map is given out: in strips of ``strip_rows`` rows of each of the ``panels``.

    ``down`` and ``across`` link the raster's own pixels to those of ``plan``, the tiles. Its panels
    are those of the map, on the model's grid, with the pixels that the outermost lie between.
    ``panels`` are first column and number of columns, from left to right without a gap. Blocks are
    multiples of ``block`` columns wide, but for the last ones of a panel.
    """

    down: AxisResampling
    across: AxisResampling
    plan: TilePlan
    panels: tuple[tuple[int, int], ...]
    strip_rows: int
    block: int = 256

    @property
    def kept_rows(self) -> int:
        """Rows of the model's grid that are kept: a row of tiles, and what a strip lies between."""
        return self.plan.vertical.size + ceil(self.strip_rows / self.down.factor) + 2

    @property
    def strips(self) -> int:
        """How many strips each panel has."""
        return -(-self.down.count // self.strip_rows)

    def first_needed(self, done: int) -> int:
        """How many rows of tiles need not be given out again where ``done`` strips are there.

        Both are counted through the panels, see ``core/strips.py``.
        """
        panel, strip = divmod(done, self.strips)
        if panel == len(self.panels):
            return panel * len(self.plan.vertical)
        top, _ = self.down.needed(strip * self.strip_rows, 1)
        starts = self.plan.vertical.starts
        row = sum(start <= top for start in starts) - 1
        return panel * len(starts) + row


class Regridder:
    """Takes the blender's blocks and gives out those of the map, panel by panel.

    Of a panel it keeps the scores of one row of tiles and of what the next strip begins with.
    ``done`` strips are there already and are left out.
    """

    def __init__(
        self, classes: int, how: MapPlan, valid: Valid, *, with_scores: bool, done: int
    ) -> None:
        self._classes, self._how, self._valid = classes, how, valid
        self._with_scores = with_scores
        self._panel, self._strip = divmod(done, how.strips)
        self._kept: _Kept | None = None

    def add(self, block: FinishedBlock) -> Iterator[FinishedBlock]:
        """Add a block with scores; what it finishes comes out, each block when it is asked for."""
        if self._kept is None:
            panel = self._how.plan.panels[self._panel]
            self._kept = _Kept(
                (self._classes, self._how.kept_rows, panel.cols), block.window.row, panel
            )
        self._kept.add(block)
        if block.window.col_end < block.row.col_end:
            return
        how = self._how
        while self._strip < how.strips:
            first = self._strip * how.strip_rows
            rows = min(how.strip_rows, how.down.count - first)
            top, end = how.down.needed(first, rows)
            if end > self._kept.end:
                self._kept.forget(top)
                return
            yield from self._pieces(first, rows)
            self._strip += 1
        self._panel, self._strip, self._kept = self._panel + 1, 0, None

    def _pieces(self, first: int, rows: int) -> Iterator[FinishedBlock]:
        """The strip from row ``first`` on, block by block."""
        left, cols = self._how.panels[self._panel]
        step = self._how.block
        width = max(PIECE_BYTES // (4 * self._classes * rows) // step, 1) * step
        for col in range(left, left + cols, width):
            window = Window(first, col, rows, min(width, left + cols - col))
            yield self._piece(window, (left, cols))

    def _piece(self, window: Window, panel: tuple[int, int]) -> FinishedBlock:
        scores, labels, down, across = self._around(window)
        valid = self._valid(window) if labels.any() else np.zeros(_shape(window), dtype=np.bool_)
        if valid is None:
            valid = np.ones(_shape(window), dtype=np.bool_)
        if self._with_scores:
            return FinishedBlock(window, _scores(scores, labels, down, across), valid, panel)
        found = None  # a block without any valid pixel knows its labels
        if valid.any():
            found = _labels(scores, labels, down, across) * valid.view(np.uint8)
        return FinishedBlock(window, None, valid, panel, found)

    def _around(
        self, window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], Neighbours, Neighbours]:
        """What a window lies between: scores, labels, and where in them along both axes."""
        if self._kept is None:
            raise RuntimeError("a strip without scores")
        rows = self._how.down.neighbours(window.row, window.rows)
        cols = self._how.across.neighbours(window.col, window.cols)
        top, left = int(rows[0][0]), int(cols[0][0])
        size = int(rows[1][-1]) + 1 - top, int(cols[1][-1]) + 1 - left
        part = self._kept.part(Window(top, left, *size))
        return (
            *part,
            (rows[0] - top, rows[1] - top, rows[2]),
            (cols[0] - left, cols[1] - left, cols[2]),
        )


def _shape(window: Window) -> tuple[int, int]:
    return window.rows, window.cols


class _Kept:
    """Scores [classes, rows, cols] and labels of some rows over a panel of the model's grid.

    Both are 0 where there is no data. Rows and columns are counted as the plan does.
    """

    def __init__(self, shape: tuple[int, int, int], row: int, panel: Panel) -> None:
        """``row`` is the first that comes."""
        self._row, self._used, self._panel = row, 0, panel
        self._scores = np.zeros(shape, dtype=np.float32)
        self._labels = np.zeros(shape[1:], dtype=np.uint8)

    @property
    def end(self) -> int:
        """The row behind the last one that is there over all columns."""
        return self._row + self._used

    def add(self, block: FinishedBlock) -> None:
        """Blocks come from left to right, the last one of a row ends with the panel."""
        if block.scores is None:
            raise ValueError("regridding needs blocks that have scores")
        at = self._at(block.window)
        scores = self._scores[(slice(None), *at)]
        scores[...] = block.scores
        if not block.valid.all():
            scores *= block.valid
        self._labels[at] = block.labels()
        if block.window.col_end == block.row.col_end:
            self._used = block.window.row_end - self._row

    def forget(self, row: int) -> None:
        """Let go of the rows before ``row``."""
        gone = min(row, self.end) - self._row
        if gone > 0:
            left = self._used - gone
            for plane in (*self._scores, self._labels):
                plane[:left] = plane[gone : self._used].copy()
            self._row, self._used = self._row + gone, left

    def part(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Scores and labels of a window."""
        at = self._at(window)
        return self._scores[(slice(None), *at)], self._labels[at]

    def _at(self, window: Window) -> tuple[slice, slice]:
        top, left = window.row - self._row, window.col - self._panel.col
        return slice(top, top + window.rows), slice(left, left + window.cols)


def _between(values: NDArray[np.float32], axis: int, link: Neighbours) -> NDArray[np.float32]:
    """Linear interpolation along an axis of [planes, rows, cols]."""
    before, behind, share = link
    weight = share if axis == 2 else share[:, None]
    result = np.take(values, before, axis=axis)
    result *= 1 - weight
    upper = np.take(values, behind, axis=axis)
    upper *= weight
    result += upper
    return result


def _scores(
    scores: NDArray[np.float32], labels: NDArray[np.uint8], down: Neighbours, across: Neighbours
) -> NDArray[np.float32]:
    """Interpolated scores, where neighbours without data do not count."""
    found = _between(_between(scores, 1, down), 2, across)
    if not labels.all():
        missing = (labels == 0).astype(np.float32)[None]
        partly = _between(_between(missing, 1, down), 2, across)[0] > 0
        total = found.sum(axis=0)
        np.divide(found, total, out=found, where=partly & (total > 0))
    return found


def _labels(
    scores: NDArray[np.float32], labels: NDArray[np.uint8], down: Neighbours, across: Neighbours
) -> NDArray[np.uint8]:
    """Class k as k + 1, the highest of the interpolated scores.

    Where a class is the highest in all neighbours, it is so between them: scores are needed only
    where they do not agree.
    """
    found = np.take(_agreed(labels, down), across[0], axis=1)
    unsure = np.flatnonzero(found == _UNSURE)
    if unsure.size:
        planes = _between(scores, 1, down)
        rows, cols = np.divmod(unsure, found.shape[1])
        first = rows * scores.shape[2]
        share = across[2][cols]
        places = (first + across[0][cols], first + across[1][cols], share)
        between = _between(planes.reshape(len(scores), 1, -1), 2, places)
        found.ravel()[unsure] = highest(between).ravel()
    return found


def _agreed(labels: NDArray[np.uint8], down: Neighbours) -> NDArray[np.uint8]:
    """The label that all neighbours with data have, else _UNSURE; a column with the next one."""
    high, low = labels.copy(), labels - np.uint8(1)  # which makes 0 the highest
    np.maximum(high[:, :-1], labels[:, 1:], out=high[:, :-1])
    low[:, :-1] = np.minimum(low[:, :-1], low[:, 1:])
    before, behind, _ = down
    high = np.maximum(high[before], high[behind])
    low = np.minimum(low[before], low[behind])
    high[(high - np.uint8(1)) != low] = _UNSURE
    return high
