"""The one loop: windows of a raster in, finished blocks of class scores out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Protocol

import numpy as np

from scasnet_qgis.core.apart import TilesApart
from scasnet_qgis.core.blending import Blender, FinishedBlock
from scasnet_qgis.core.carrying import CarryingReader, Part, Source
from scasnet_qgis.core.errors import Cancelled
from scasnet_qgis.core.heap import Heap
from scasnet_qgis.core.preprocessing import Scaling, pad_to, part_of
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.strips import Strip, strips_after, tiles_again, tiles_before
from scasnet_qgis.core.valid_pixels import any_of, both, mask_of
from scasnet_qgis.core.windows import Panel, Tile, TilePlan, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLL_SECONDS = 0.1
READ_AHEAD = 2  # batches read before a worker is free for them; tiles take unevenly long


class Backend(Protocol):
    """What computes class scores; ``predict`` may be called by ``workers`` threads at a time."""

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


Inside = Callable[[Window], "NDArray[np.bool_] | None"]
Sink = Callable[[FinishedBlock], None]


@dataclass(frozen=True)
class RunReport:
    """What a run did: tiles computed, and skipped for want of data or of interest; seconds."""

    computed_tiles: int
    skipped_tiles: int
    seconds: float


@dataclass
class _Batch:
    """Tiles that are read together; ``valid`` is filled while reading.

    The future gives the scores or labels of those that hold data, None if none does.
    """

    tiles: list[Tile]
    valid: list[NDArray[np.bool_] | None]
    future: Future[NDArray[Any] | None]


@dataclass(frozen=True)
class _Result:
    """A tile and its scores or labels, None where it holds no data; ``valid`` as in the blender."""

    tile: Tile
    scores: NDArray[Any] | None
    valid: NDArray[np.bool_] | None


class Segmentation:
    """Applies a model to a raster.

    ``area`` is the part of the source that is mapped; the plan's rows and columns count from its
    corner. Tiles may look beyond the area, where the raster goes on, and mirror at its edge.
    ``inside`` says which pixels of a window of the raster are to be mapped, None for all of them;
    tiles see what lies around those, but where there is none, nothing is read or computed.
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
        inside: Inside | None = None,
    ) -> None:
        self.source, self.raster, self.area = source, raster, area
        self._inside = inside or _everything
        self._reader = CarryingReader(source, raster)
        self.scaling, self.backend, self.plan = scaling, backend, plan
        self.batch = max(batch, 1)
        self._computed = self._skipped = 0
        self._ended_early = threading.Event()
        self._heap = Heap()

    def run(self, sink: Sink, progress: Progress, start: int = 0) -> RunReport:
        """Work off the plan; each finished block goes to ``sink``, panel by panel.

        So many rows of tiles as ``start`` says, counted through the panels, are there already:
        what follows is bit by bit what it is in a run from the beginning.
        Raises Cancelled soon after ``progress.cancelled`` turns true, also inside a slow batch.
        """
        started = time.monotonic()
        reading = ThreadPoolExecutor(1, thread_name_prefix="scasnet-read")
        computing = ThreadPoolExecutor(self.backend.workers, thread_name_prefix="scasnet-compute")
        try:
            strips = list(strips_after(self.plan, start))
            done = tiles_before(self.plan, start)
            again = tiles_again(self.plan, start)
            results = self._results(strips, done, again, reading, computing, progress)
            for strip in strips:
                self._blend(strip, results, sink)
        except BaseException:
            self.backend.cancel()  # so that leaving does not wait for a slow batch
            self._ended_early.set()  # nor for all the reads of one
            raise
        finally:
            reading.shutdown(wait=True, cancel_futures=True)
            computing.shutdown(wait=True, cancel_futures=True)
        return RunReport(self._computed, self._skipped, time.monotonic() - started)

    def _blend(self, strip: Strip, results: Iterator[_Result], sink: Sink) -> None:
        blender = self._blender(strip.panel)
        for _ in range(len(strip.rows) * len(strip.panel.tile_cols)):
            result = next(results)
            block = blender.add(result.tile, result.scores, result.valid)
            if block is not None and result.tile.row >= strip.first:
                sink(block)
            if result.tile.col == strip.panel.tile_cols[-1]:
                self._heap.give_back()
            del result, block

    def _blender(self, panel: Panel) -> Blender | TilesApart:
        if self.backend.gives_labels:
            return TilesApart(self.plan, panel)
        return Blender(self.backend.classes, self.plan, panel)

    def _results(
        self,
        strips: list[Strip],
        done: int,
        again: int,
        reading: ThreadPoolExecutor,
        computing: ThreadPoolExecutor,
        progress: Progress,
    ) -> Iterator[_Result]:
        """Tiles in plan order with their scores; a few batches are under way at any time.

        ``done`` tiles of the plan are there already; the ``again`` first results are of such
        and not counted.
        """
        waiting: deque[_Batch] = deque()
        batches = self._batches(strips)
        total = self.plan.count
        upcoming = next(batches, None)
        while waiting or upcoming:
            while upcoming and len(waiting) < self.backend.workers + READ_AHEAD:
                waiting.append(self._start(upcoming, reading, computing))
                upcoming = next(batches, None)
            batch = waiting.popleft()
            scores = _wait(batch.future, progress)
            computed = iter(()) if scores is None else iter(scores)
            for tile, valid in zip(batch.tiles, batch.valid):
                done, again = (done, again - 1) if again else (done + 1, 0)
                progress.report(done / total)
                if any_of(valid):
                    self._computed += 1
                    yield _Result(tile, next(computed), valid)
                else:
                    self._skipped += 1
                    yield _Result(tile, None, valid)
            del batch, scores, computed  # not to be held while the next ones are waited for

    def _batches(self, strips: list[Strip]) -> Iterator[list[Tile]]:
        for strip in strips:
            for row in strip.rows:
                tiles = list(self.plan.row_tiles(strip.panel, row))
                for first in range(0, len(tiles), self.batch):
                    yield tiles[first : first + self.batch]

    def _start(
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
        """The model's input for those of ``tiles`` that hold data, None if none does."""
        inputs: NDArray[Any] | None = None
        count = 0
        for index, tile in enumerate(tiles):
            if self._ended_early.is_set():
                raise Cancelled
            placed = tile.out.shift(self.area.row, self.area.col)
            inside = self._inside(placed)
            if inside is not None and not inside.any():
                valid[index] = inside
                self._reader.forget(tile.col)
                continue
            want, have, parts = self._parts(tile)
            valid[index] = both(mask_of(placed, parts), inside)
            if any_of(valid[index]):
                if inputs is None:
                    inputs = self._room(len(tiles), want, parts[0].raw)
                self._fill(inputs[count], want, have, parts)
                count += 1
        return None if inputs is None else inputs[:count]

    def _parts(self, tile: Tile) -> tuple[Window, Window, list[Part]]:
        """The window a tile looks at, what of it lies in the raster, and the pixels of that."""
        want = self._looks_at(tile.out)
        have = want.intersect(self.raster)
        following = None
        if tile.row + 1 < len(self.plan.vertical):
            below = tile.out.shift(self.plan.vertical.starts[tile.row + 1] - tile.out.row, 0)
            following = self._looks_at(below).intersect(self.raster).row
        return want, have, self._reader.read(tile.col, have, following)

    def _looks_at(self, out: Window) -> Window:
        return out.shift(self.area.row, self.area.col).grow(self.backend.margin)

    def _room(self, count: int, want: Window, raw: NDArray[np.generic]) -> NDArray[Any]:
        kind = raw.dtype if self.backend.takes_raw else np.dtype(np.float32)
        return np.empty((count, len(raw), want.rows, want.cols), dtype=kind)

    def _fill(self, tile: NDArray[Any], want: Window, have: Window, parts: list[Part]) -> None:
        """Write the input [bands, rows, cols] of one tile, straight from what was read."""
        write = self.scaling.filled if self.backend.takes_raw else self.scaling
        for part in parts:
            write(part.raw, part.valid, tile[part_of(part.window, want)])
        if have != want:
            tile[...] = pad_to(tile[part_of(have, want)], have, want)


def _everything(_window: Window) -> None:
    """All pixels are to be mapped."""


def as_float(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Scores up to 1 in single precision, from 8-bit ones too."""
    if scores.dtype == np.uint8:
        return np.multiply(scores, np.float32(1 / 255), dtype=np.float32)
    return np.asarray(scores, dtype=np.float32)


def _wait(future: Future[NDArray[Any] | None], progress: Progress) -> NDArray[Any] | None:
    """The future's result, looking for a cancel all the while."""
    while not wait((future,), timeout=POLL_SECONDS).done:
        if progress.cancelled:
            raise Cancelled
    progress.check()
    return future.result()
