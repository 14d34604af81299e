"""Resampling of class scores from the model's pixel grid to the raster's own one.

Scores are interpolated linearly between the centres of the model's pixels, and the class is the
highest of them; labels are never averaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.tiling.blending import FinishedBlock, highest
from scasnet_qgis.tiling.resampling import AxisResampling
from scasnet_qgis.tiling.valid_pixels import MaskReader
from scasnet_qgis.tiling.windows import Panel, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

Neighbours = tuple["NDArray[np.intp]", "NDArray[np.intp]", "NDArray[np.float32]"]

PIECE_BYTES = 4 * 1024 * 1024  # of scores in one block
_AMBIGUOUS = 255  # above every label: neighbours have different ones


@dataclass(frozen=True)
class MapPlan:
    """How the map is written: in strips of ``strip_rows`` rows of each of the ``panels``.

    ``down`` and ``across`` relate the rows and columns of the raster to those of the model's grid.
    ``plan`` are the tiles; its panels are those of the map on the model's grid, with the neighbours
    of their outermost pixels. ``panels`` are first column and number of columns on the raster, from
    left to right without a gap. Blocks are multiples of ``block`` columns wide, but for the last
    ones of a panel.
    """

    down: AxisResampling
    across: AxisResampling
    plan: TilePlan
    panels: tuple[tuple[int, int], ...]
    strip_rows: int
    block: int = 256

    @property
    def kept_rows(self) -> int:
        """Rows of the model's grid to buffer: a row of tiles, and the neighbours of a strip."""
        return self.plan.vertical.size + ceil(self.strip_rows / self.down.factor) + 2

    @property
    def strips(self) -> int:
        """How many strips each panel has."""
        return -(-self.down.count // self.strip_rows)

    def first_needed(self, done: int) -> int:
        """How many rows of tiles are not needed any more once ``done`` strips are written.

        Both are counted panel after panel.
        """
        panel, strip = divmod(done, self.strips)
        if panel == len(self.panels):
            return panel * len(self.plan.vertical)
        top, _ = self.down.needed(strip * self.strip_rows, 1)
        starts = self.plan.vertical.starts
        row = sum(start <= top for start in starts) - 1
        return panel * len(starts) + row


class ScoreResampler:
    """Resamples the blender's blocks to blocks of the map, panel by panel.

    It buffers the scores of one row of tiles and of the first neighbours of the next strip. The
    first ``done`` strips are written already and left out.
    """

    def __init__(
        self, classes: int, map_plan: MapPlan, valid: MaskReader, *, with_scores: bool, done: int
    ) -> None:
        self._classes, self._map_plan, self._valid = classes, map_plan, valid
        self._with_scores = with_scores
        self._panel, self._strip = divmod(done, map_plan.strips)
        self._buffer: _ScoreBuffer | None = None

    def add(self, block: FinishedBlock) -> Iterator[FinishedBlock]:
        """Add a block with scores; yields the blocks of the map that it finishes."""
        if self._buffer is None:
            panel = self._map_plan.plan.panels[self._panel]
            self._buffer = _ScoreBuffer(
                (self._classes, self._map_plan.kept_rows, panel.cols), block.window.row, panel
            )
        self._buffer.add(block)
        if block.window.col_end < block.row.col_end:
            return
        map_plan = self._map_plan
        while self._strip < map_plan.strips:
            first = self._strip * map_plan.strip_rows
            rows = min(map_plan.strip_rows, map_plan.down.count - first)
            top, end = map_plan.down.needed(first, rows)
            if end > self._buffer.end:
                self._buffer.forget(top)
                return
            yield from self._strip_blocks(first, rows)
            self._strip += 1
        self._panel, self._strip, self._buffer = self._panel + 1, 0, None

    def _strip_blocks(self, first: int, rows: int) -> Iterator[FinishedBlock]:
        """The strip from row ``first`` on, block by block."""
        left, cols = self._map_plan.panels[self._panel]
        step = self._map_plan.block
        width = max(PIECE_BYTES // (4 * self._classes * rows) // step, 1) * step
        for col in range(left, left + cols, width):
            window = Window(first, col, rows, min(width, left + cols - col))
            yield self._make_block(window, (left, cols))

    def _make_block(self, window: Window, panel: tuple[int, int]) -> FinishedBlock:
        scores, labels, down, across = self._model_pixels(window)
        valid = self._valid(window) if labels.any() else np.zeros(window.shape, dtype=np.bool_)
        if valid is None:
            valid = np.ones(window.shape, dtype=np.bool_)
        if self._with_scores:
            return FinishedBlock(window, _scores(scores, labels, down, across), valid, panel)
        known_labels = None  # of a block without any valid pixel they are 0
        if valid.any():
            known_labels = _labels(scores, labels, down, across) * valid.view(np.uint8)
        return FinishedBlock(window, None, valid, panel, known_labels)

    def _model_pixels(
        self, window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], Neighbours, Neighbours]:
        """Scores and labels around a window, and its pixels' neighbours in them along both axes."""
        if self._buffer is None:
            raise RuntimeError("a strip without scores")
        rows = self._map_plan.down.neighbours(window.row, window.rows)
        cols = self._map_plan.across.neighbours(window.col, window.cols)
        top, left = int(rows[0][0]), int(cols[0][0])
        size = int(rows[1][-1]) + 1 - top, int(cols[1][-1]) + 1 - left
        part = self._buffer.part(Window(top, left, *size))
        return (
            *part,
            (rows[0] - top, rows[1] - top, rows[2]),
            (cols[0] - left, cols[1] - left, cols[2]),
        )


class _ScoreBuffer:
    """Scores [classes, rows, cols] and labels of some rows over a panel of the model's grid.

    Both are 0 where there is no data. Rows and columns are those of the tile plan.
    """

    def __init__(self, shape: tuple[int, int, int], row: int, panel: Panel) -> None:
        """``row`` is the first row that will be added."""
        self._row, self._used, self._panel = row, 0, panel
        self._scores = np.zeros(shape, dtype=np.float32)
        self._labels = np.zeros(shape[1:], dtype=np.uint8)

    @property
    def end(self) -> int:
        """The row after the last one that is complete."""
        return self._row + self._used

    def add(self, block: FinishedBlock) -> None:
        """Blocks come from left to right, the last one of a row ends with the panel."""
        if block.scores is None:
            raise ValueError("resampling needs blocks that have scores")
        at = self._slices(block.window)
        scores = self._scores[(slice(None), *at)]
        scores[...] = block.scores
        if not block.valid.all():
            scores *= block.valid
        self._labels[at] = block.labels()
        if block.window.col_end == block.row.col_end:
            self._used = block.window.row_end - self._row

    def forget(self, row: int) -> None:
        """Drop the rows before ``row``."""
        dropped = min(row, self.end) - self._row
        if dropped > 0:
            left = self._used - dropped
            for plane in (*self._scores, self._labels):
                plane[:left] = plane[dropped : self._used].copy()
            self._row, self._used = self._row + dropped, left

    def part(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Scores and labels of a window."""
        at = self._slices(window)
        return self._scores[(slice(None), *at)], self._labels[at]

    def _slices(self, window: Window) -> tuple[slice, slice]:
        top, left = window.row - self._row, window.col - self._panel.col
        return slice(top, top + window.rows), slice(left, left + window.cols)


def _interpolate(
    values: NDArray[np.float32], axis: int, neighbours: Neighbours
) -> NDArray[np.float32]:
    """Linear interpolation along an axis of [planes, rows, cols]."""
    before, after, weight = neighbours
    weight = weight if axis == 2 else weight[:, None]
    result = np.take(values, before, axis=axis)
    result *= 1 - weight
    upper = np.take(values, after, axis=axis)
    upper *= weight
    result += upper
    return result


def _scores(
    scores: NDArray[np.float32], labels: NDArray[np.uint8], down: Neighbours, across: Neighbours
) -> NDArray[np.float32]:
    """Interpolated scores; neighbours without data get no weight."""
    result = _interpolate(_interpolate(scores, 1, down), 2, across)
    if not labels.all():
        missing = (labels == 0).astype(np.float32)[None]
        partly = _interpolate(_interpolate(missing, 1, down), 2, across)[0] > 0
        total = result.sum(axis=0)
        np.divide(result, total, out=result, where=partly & (total > 0))
    return result


def _labels(
    scores: NDArray[np.float32], labels: NDArray[np.uint8], down: Neighbours, across: Neighbours
) -> NDArray[np.uint8]:
    """Class k as k + 1, the highest of the interpolated scores.

    Where all neighbours have the same label, so has every pixel between them: scores are
    interpolated only where the labels differ.
    """
    result = np.take(_agreed_labels(labels, down), across[0], axis=1)
    ambiguous = np.flatnonzero(result == _AMBIGUOUS)
    if ambiguous.size:
        planes = _interpolate(scores, 1, down)
        rows, cols = np.divmod(ambiguous, result.shape[1])
        first = rows * scores.shape[2]
        weight = across[2][cols]
        flat_taps = (first + across[0][cols], first + across[1][cols], weight)
        between = _interpolate(planes.reshape(len(scores), 1, -1), 2, flat_taps)
        result.ravel()[ambiguous] = highest(between).ravel()
    return result


def _agreed_labels(labels: NDArray[np.uint8], down: Neighbours) -> NDArray[np.uint8]:
    """The label of each row and pair of neighbouring columns; _AMBIGUOUS where labels differ."""
    high, low = labels.copy(), labels - np.uint8(1)  # which makes 0 the highest
    np.maximum(high[:, :-1], labels[:, 1:], out=high[:, :-1])
    low[:, :-1] = np.minimum(low[:, :-1], low[:, 1:])
    before, after, _ = down
    high = np.maximum(high[before], high[after])
    low = np.minimum(low[before], low[after])
    high[(high - np.uint8(1)) != low] = _AMBIGUOUS
    return high
