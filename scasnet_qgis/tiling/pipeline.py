"""The pipeline of a map: reads tiles, computes and blends their scores, gives out blocks."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Protocol

import numpy as np

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.blending import Blender, FinishedBlock, UnblendedTiles
from scasnet_qgis.tiling.overlap_cache import OverlapCache, RowSlice, Source
from scasnet_qgis.tiling.scaling import Scaling, mirror_pad, window_slices
from scasnet_qgis.tiling.valid_pixels import MaskReader, any_valid, intersect_masks, valid_mask
from scasnet_qgis.tiling.windows import (
    Panel,
    RemainingRows,
    Tile,
    TilePlan,
    Window,
    recomputed_tiles,
    remaining_rows,
    tiles_in_rows,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLL_SECONDS = 0.1
READ_AHEAD = 2  # batches read before a worker is free, as tiles take unevenly long


class Backend(Protocol):
    """A model that computes class scores; ``workers`` threads may call ``predict`` at a time."""

    classes: int
    workers: int
    margin: int
    takes_raw: bool
    gives_labels: bool

    def predict(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """[N, bands, rows, cols] -> [N, classes, rows - 2 margin, cols - 2 margin].

        Tiles are float32 in 0-1, or the raster's own values where ``takes_raw``. Scores are float32
        that add up to 1, or 8-bit numbers that stand for 0 to 1. Where it ``gives_labels`` there is
        one channel, uint8: 1 for the first class.
        """

    def cancel(self) -> None:
        """Make running and later calls of ``predict`` raise Cancelled soon."""


Sink = Callable[[FinishedBlock], None]


@dataclass(frozen=True)
class RunReport:
    """Tiles computed, tiles skipped (no data, or outside the mask), and the seconds it took."""

    computed_tiles: int
    skipped_tiles: int
    seconds: float


@dataclass
class _Batch:
    """Tiles that are computed in one call; ``valid`` masks are filled in while reading.

    The future gives the scores or labels of the tiles with data, None if there are none.
    """

    tiles: list[Tile]
    valid: list[NDArray[np.bool_] | None]
    future: Future[NDArray[Any] | None]


@dataclass(frozen=True)
class _Result:
    """A tile and its scores or labels, None where it holds no data; ``valid`` as for a Blender."""

    tile: Tile
    scores: NDArray[Any] | None
    valid: NDArray[np.bool_] | None


class Pipeline:
    """Applies a model to a raster, tile by tile.

    ``area`` is the window of the raster that is mapped; the plan's rows and columns count from its
    corner. Tiles read a margin beyond the area where the raster goes on; beyond the raster's edge
    pixels are mirrored. ``inside`` gives the mask of a window of the raster, None for all of it;
    tiles with a pixel inside are read as a whole, others are neither read nor computed.
    """

    def __init__(
        self,
        source: Source,
        raster: Window,
        area: Window,
        scaling: Scaling,
        backend: Backend,
        plan: TilePlan,
        batch: int = 1,
        inside: MaskReader | None = None,
    ) -> None:
        self.source, self.raster, self.area = source, raster, area
        self._inside = inside or _everywhere
        self._reader = OverlapCache(source, raster)
        self.scaling, self.backend, self.plan = scaling, backend, plan
        self.batch = max(batch, 1)
        self._computed = self._skipped = 0
        self._aborted = threading.Event()
        self._trimmer = HeapTrimmer()

    def run(self, sink: Sink, progress: Progress, start: int = 0) -> RunReport:
        """Compute all tiles of the plan; each finished block goes to ``sink``, panel by panel.

        The first ``start`` rows of tiles, counted panel after panel, are done already: what follows
        is the same, bit by bit, as in a run from the beginning.
        Raises Cancelled soon after ``progress.cancelled`` turns true, also inside a slow batch.
        """
        started = time.monotonic()
        reading = ThreadPoolExecutor(1, thread_name_prefix="scasnet-read")
        computing = ThreadPoolExecutor(self.backend.workers, thread_name_prefix="scasnet-compute")
        try:
            remaining = list(remaining_rows(self.plan, start))
            results = self._results(remaining, start, reading, computing, progress)
            for panel_rows in remaining:
                self._blend(panel_rows, results, sink)
        except BaseException:
            self.backend.cancel()  # so that leaving does not wait for a slow batch
            self._aborted.set()  # nor for all the reads of one
            raise
        finally:
            reading.shutdown(wait=True, cancel_futures=True)
            computing.shutdown(wait=True, cancel_futures=True)
        return RunReport(self._computed, self._skipped, time.monotonic() - started)

    def _blend(self, panel_rows: RemainingRows, results: Iterator[_Result], sink: Sink) -> None:
        blender = self._blender(panel_rows.panel)
        for _ in range(len(panel_rows.rows) * len(panel_rows.panel.tile_cols)):
            result = next(results)
            block = blender.add(result.tile, result.scores, result.valid)
            if block is not None and result.tile.row >= panel_rows.first:
                sink(block)
            if result.tile.col == panel_rows.panel.tile_cols[-1]:
                self._trimmer.trim_malloc()
            del result, block

    def _blender(self, panel: Panel) -> Blender | UnblendedTiles:
        if self.backend.gives_labels:
            return UnblendedTiles(self.plan, panel)
        return Blender(self.backend.classes, self.plan, panel)

    def _results(
        self,
        remaining: list[RemainingRows],
        start: int,
        reading: ThreadPoolExecutor,
        computing: ThreadPoolExecutor,
        progress: Progress,
    ) -> Iterator[_Result]:
        """Tiles in plan order with their scores; a few batches are read or computed ahead.

        The tiles of the first ``start`` rows are done already; the results of those that are
        recomputed come first and do not count for the progress.
        """
        done, recomputed = tiles_in_rows(self.plan, start), recomputed_tiles(self.plan, start)
        pending: deque[_Batch] = deque()
        batches = self._batches(remaining)
        total = self.plan.count
        upcoming = next(batches, None)
        while pending or upcoming:
            while upcoming and len(pending) < self.backend.workers + READ_AHEAD:
                pending.append(self._submit(upcoming, reading, computing))
                upcoming = next(batches, None)
            batch = pending.popleft()
            scores = _wait(batch.future, progress)
            computed = iter(()) if scores is None else iter(scores)
            for tile, valid in zip(batch.tiles, batch.valid):
                done, recomputed = (done, recomputed - 1) if recomputed else (done + 1, 0)
                progress.report(done / total)
                if any_valid(valid):
                    self._computed += 1
                    yield _Result(tile, next(computed), valid)
                else:
                    self._skipped += 1
                    yield _Result(tile, None, valid)
            del batch, scores, computed  # frees them before the next ones are waited for

    def _batches(self, remaining: list[RemainingRows]) -> Iterator[list[Tile]]:
        for panel_rows in remaining:
            for row in panel_rows.rows:
                tiles = list(self.plan.row_tiles(panel_rows.panel, row))
                for first in range(0, len(tiles), self.batch):
                    yield tiles[first : first + self.batch]

    def _submit(
        self, tiles: list[Tile], reading: ThreadPoolExecutor, computing: ThreadPoolExecutor
    ) -> _Batch:
        valid: list[NDArray[np.bool_] | None] = [None] * len(tiles)
        read = reading.submit(self._read, tiles, valid)

        def compute() -> NDArray[Any] | None:
            inputs = read.result()
            if inputs is None:
                return None
            found = self.backend.predict(inputs)
            return found if self.backend.gives_labels else as_float(found)

        return _Batch(tiles, valid, computing.submit(compute))

    def _read(
        self, tiles: list[Tile], valid: list[NDArray[np.bool_] | None]
    ) -> NDArray[Any] | None:
        """The model's input for those of ``tiles`` with data, None if there are none."""
        inputs: NDArray[Any] | None = None
        count = 0
        for index, tile in enumerate(tiles):
            if self._aborted.is_set():
                raise Cancelled
            on_raster = tile.out.shift(self.area.row, self.area.col)
            inside = self._inside(on_raster)
            if inside is not None and not inside.any():
                valid[index] = inside
                self._reader.forget(tile.col)
                continue
            window, available, slices = self._read_slices(tile)
            valid[index] = intersect_masks(valid_mask(on_raster, slices), inside)
            if any_valid(valid[index]):
                if inputs is None:
                    inputs = self._empty_input(len(tiles), window, slices[0].raw)
                self._write_input(inputs[count], window, available, slices)
                count += 1
        return None if inputs is None else inputs[:count]

    def _read_slices(self, tile: Tile) -> tuple[Window, Window, list[RowSlice]]:
        """The input window of a tile, its part within the raster, and the pixels of that part."""
        window = self._input_window(tile.out)
        available = window.intersect(self.raster)
        next_row = None
        if tile.row + 1 < len(self.plan.vertical):
            below = tile.out.shift(self.plan.vertical.starts[tile.row + 1] - tile.out.row, 0)
            next_row = self._input_window(below).intersect(self.raster).row
        return window, available, self._reader.read(tile.col, available, next_row)

    def _input_window(self, out: Window) -> Window:
        return out.shift(self.area.row, self.area.col).grow(self.backend.margin)

    def _empty_input(self, count: int, window: Window, raw: NDArray[np.generic]) -> NDArray[Any]:
        kind = raw.dtype if self.backend.takes_raw else np.dtype(np.float32)
        return np.empty((count, len(raw), window.rows, window.cols), dtype=kind)

    def _write_input(
        self, tile: NDArray[Any], window: Window, available: Window, slices: list[RowSlice]
    ) -> None:
        """Write the input [bands, rows, cols] of one tile from the slices that were read."""
        write = self.scaling.filled if self.backend.takes_raw else self.scaling
        for part in slices:
            write(part.raw, part.valid, tile[window_slices(part.window, window)])
        if available != window:
            tile[...] = mirror_pad(tile[window_slices(available, window)], available, window)


def _everywhere(_window: Window) -> None:
    """The mask of a run that maps all pixels: None."""


def as_float(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Scores from 0 to 1 as float32; 8-bit ones are divided by 255."""
    if scores.dtype == np.uint8:
        return np.multiply(scores, np.float32(1 / 255), dtype=np.float32)
    return np.asarray(scores, dtype=np.float32)


def _wait(future: Future[NDArray[Any] | None], progress: Progress) -> NDArray[Any] | None:
    """The future's result; raises Cancelled soon after the user cancels."""
    while not wait((future,), timeout=POLL_SECONDS).done:
        if progress.cancelled:
            raise Cancelled
    progress.check()
    return future.result()


TRIM_SECONDS = 2.0  # between two calls; walking through the heap of a large process takes a while


class HeapTrimmer:
    """Calls malloc_trim now and then, where the C library has it.

    Each thread of glibc frees into an arena of its own. Tiles that come and go between rows that
    are kept for longer fragment the arenas, which otherwise shrink at their ends only.
    """

    def __init__(self, seconds: float = TRIM_SECONDS) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def trim_malloc(self) -> bool:
        """Trim, unless it cannot be done or was less than ``seconds`` ago; whether it was done."""
        malloc_trim = _malloc_trim()
        if malloc_trim is None or time.monotonic() - self._last < self._seconds:
            return False
        malloc_trim(0)
        self._last = time.monotonic()
        return True


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None in other C libraries."""
    try:
        function: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    return function
