"""The one loop: windows of a raster in, finished blocks of class scores out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Protocol

import numpy as np

from scasnet_qgis.core.blending import Blender, FinishedBlock
from scasnet_qgis.core.errors import Cancelled
from scasnet_qgis.core.preprocessing import Scaling, pad_to
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLL_SECONDS = 0.1
READ_AHEAD = 1  # batches read before a worker is free for them


class Source(Protocol):
    """Where pixels come from; used from one thread only."""

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] and which pixels hold data (None: all)."""


class Backend(Protocol):
    """What computes class scores; ``predict`` may be called by ``workers`` threads at a time."""

    classes: int
    workers: int
    margin: int

    def predict(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, bands, rows, cols] in 0-1 -> [N, classes, rows - 2 margin, cols - 2 margin]."""

    def cancel(self) -> None:
        """Make running and later calls of ``predict`` raise Cancelled soon."""


Sink = Callable[[FinishedBlock], None]


@dataclass(frozen=True)
class RunReport:
    """What a run did: tiles computed and skipped for want of data, seconds for all of it."""

    computed_tiles: int
    skipped_tiles: int
    seconds: float


@dataclass
class _Batch:
    """Tiles that are read together; ``valid`` is filled while reading.

    The future gives the scores of those that hold data, None if none does.
    """

    tiles: list[Tile]
    valid: list[NDArray[np.bool_] | None]
    future: Future[NDArray[np.float32] | None]


@dataclass(frozen=True)
class _Result:
    """A tile and its scores, None where it holds no data; ``valid`` as in the blender."""

    tile: Tile
    scores: NDArray[np.float32] | None
    valid: NDArray[np.bool_] | None


class Segmentation:
    """Applies a model to a raster.

    ``area`` is the part of the source that is mapped; the plan's rows and columns count from its
    corner. Tiles may look beyond the area, where the raster goes on, and mirror at its edge.
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
    ) -> None:
        self.source, self.raster, self.area = source, raster, area
        self.scaling, self.backend, self.plan = scaling, backend, plan
        self.batch = max(batch, 1)
        self._computed = self._skipped = 0
        self._ended_early = threading.Event()

    def run(self, sink: Sink, progress: Progress) -> RunReport:
        """Work off the plan; each finished block goes to ``sink``, panel by panel.

        Raises Cancelled soon after ``progress.cancelled`` turns true, also inside a slow batch.
        """
        started = time.monotonic()
        reading = ThreadPoolExecutor(1, thread_name_prefix="scasnet-read")
        computing = ThreadPoolExecutor(self.backend.workers, thread_name_prefix="scasnet-compute")
        try:
            results = self._results(reading, computing, progress)
            for panel in self.plan.panels:
                self._blend(panel, results, sink)
        except BaseException:
            self.backend.cancel()  # so that leaving does not wait for a slow batch
            self._ended_early.set()  # nor for all the reads of one
            raise
        finally:
            reading.shutdown(wait=True, cancel_futures=True)
            computing.shutdown(wait=True, cancel_futures=True)
        return RunReport(self._computed, self._skipped, time.monotonic() - started)

    def _blend(self, panel: Panel, results: Iterator[_Result], sink: Sink) -> None:
        blender = Blender(self.backend.classes, self.plan, panel)
        for _ in range(len(self.plan.vertical) * len(panel.tile_cols)):
            result = next(results)
            block = blender.add(result.tile, result.scores, result.valid)
            if block is not None:
                sink(block)

    def _results(
        self, reading: ThreadPoolExecutor, computing: ThreadPoolExecutor, progress: Progress
    ) -> Iterator[_Result]:
        """Tiles in plan order with their scores; a few batches are under way at any time."""
        waiting: deque[_Batch] = deque()
        batches = self._batches()
        total, done = self.plan.count, 0
        upcoming = next(batches, None)
        while waiting or upcoming:
            while upcoming and len(waiting) < self.backend.workers + READ_AHEAD:
                waiting.append(self._start(upcoming, reading, computing))
                upcoming = next(batches, None)
            batch = waiting.popleft()
            scores = _wait(batch.future, progress)
            computed = iter(()) if scores is None else iter(scores)
            for tile, valid in zip(batch.tiles, batch.valid):
                done += 1
                progress.report(done / total)
                if _any(valid):
                    self._computed += 1
                    yield _Result(tile, next(computed), valid)
                else:
                    self._skipped += 1
                    yield _Result(tile, None, valid)

    def _batches(self) -> Iterator[list[Tile]]:
        for panel in self.plan.panels:
            for row in range(len(self.plan.vertical)):
                tiles = list(self.plan.row_tiles(panel, row))
                for first in range(0, len(tiles), self.batch):
                    yield tiles[first : first + self.batch]

    def _start(
        self, tiles: list[Tile], reading: ThreadPoolExecutor, computing: ThreadPoolExecutor
    ) -> _Batch:
        valid: list[NDArray[np.bool_] | None] = [None] * len(tiles)
        read = reading.submit(self._read, tiles, valid)

        def compute() -> NDArray[np.float32] | None:
            inputs = read.result()
            return None if inputs is None else self.backend.predict(inputs)

        return _Batch(tiles, valid, computing.submit(compute))

    def _read(
        self, tiles: list[Tile], valid: list[NDArray[np.bool_] | None]
    ) -> NDArray[np.float32] | None:
        """The model's input for those of ``tiles`` that hold data, None if none does."""
        margin = self.backend.margin
        inputs = []
        for index, tile in enumerate(tiles):
            if self._ended_early.is_set():
                raise Cancelled
            want = tile.out.shift(self.area.row, self.area.col).grow(margin)
            have = want.intersect(self.raster)
            raw, mask = self.source.read(have)
            if mask is not None:
                valid[index] = _mask_of(tile.out, mask, have, self.area)
            if _any(valid[index]):
                inputs.append(pad_to(self.scaling(raw, mask), have, want))
        return np.stack(inputs) if inputs else None


def _mask_of(out: Window, mask: NDArray[np.bool_], have: Window, area: Window) -> NDArray[np.bool_]:
    """The part of ``mask`` (over ``have``, raster pixels) that lies under ``out`` (area pixels)."""
    placed = out.shift(area.row, area.col)
    inside = placed.intersect(have)
    result = np.zeros((out.rows, out.cols), dtype=np.bool_)
    result[
        inside.row - placed.row : inside.row_end - placed.row,
        inside.col - placed.col : inside.col_end - placed.col,
    ] = mask[
        inside.row - have.row : inside.row_end - have.row,
        inside.col - have.col : inside.col_end - have.col,
    ]
    return result


def _any(valid: NDArray[np.bool_] | None) -> bool:
    return valid is None or bool(valid.any())


def _wait(
    future: Future[NDArray[np.float32] | None], progress: Progress
) -> NDArray[np.float32] | None:
    """The future's result, looking for a cancel all the while."""
    while not wait((future,), timeout=POLL_SECONDS).done:
        if progress.cancelled:
            raise Cancelled
    progress.check()
    return future.result()
