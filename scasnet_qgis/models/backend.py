"""Class scores of tiles, computed by ONNX Runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.errors import Cancelled, ModelError
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models import arena, cuda
from scasnet_qgis.models.cuda import BoundRuns
from scasnet_qgis.models.gpu_graph import RawInput
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.models.runtime import (
    CPU,
    ON_PROCESSOR,
    PROVIDERS,
    run_options,
    runtime_description,
    wheel_clash,
)
from scasnet_qgis.models.session import LoadedModel, ModelLoader
from scasnet_qgis.models.tile_memory import bytes_a_pixel, bytes_ahead, workers_for
from scasnet_qgis.tiling.blending import highest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_MEMORY = (
    "out of memory", "failed to allocate", "bad allocation", "bad_alloc", "alloc_failed",
    "cudaerrormemoryallocation",
)  # fmt: skip


class OnnxBackend:
    """A model, opened on the best provider that really runs it.

    ``provider`` is ONNX Runtime's name of that provider, ``device_name`` the maker's of a graphics
    card of NVIDIA's, else empty. ``workers`` is how many calls of
    ``predict`` usefully run side by side: on a CPU one thread to a tile beats all threads in one
    tile, while there are tiles and memory for it. ``threads`` is how many compute: the workers
    and, on a CPU, those that help them inside their tiles. ``batch`` is how many tiles a call
    should have; ``batch_limit`` is the number the model takes at once, None for any. The scores
    are ``margin`` pixels smaller than the tile on each side. ``takes_raw`` says that tiles are
    pixels as the raster holds them, ``eight_bit`` that scores are whole numbers up to 255, and
    ``gives_labels`` that there are none, but the number of the likeliest class, from 1 on.
    ``warnings`` and ``notes`` are sentences for the user; more of them may come while it runs.
    """

    def __init__(
        self,
        info: ModelInfo,
        device: str = "auto",
        threads: int = 0,
        tile_size: tuple[int, int] = (512, 512),
        tiles: int | None = None,
        batch: int = 1,
        progress: Progress | None = None,
        raw: RawInput | None = None,
        eight_bit: bool | None = None,
        labels: bool = False,
    ) -> None:
        """``tiles`` will be computed (None: many), ``batch`` in a call (0: as memory allows).

        ``progress`` may cancel. With ``eight_bit`` (None: on a card) scores come as
        uint8, and where ``raw`` says what the pixels are, those are taken; this needs onnx. Of
        ``labels`` less has to be handed over, where scores are not wanted.
        """
        self.info = info
        self.bands, self.classes, self.margin = info.bands, info.classes, info.margin
        self.batch_limit = info.fixed_batch
        self.threads = threads if threads > 0 else processors()
        size = info.fixed_size or tile_size
        pixel_bytes = bytes_a_pixel(info)
        self.workers = workers_for(
            self.threads, size, info.fixed_batch or max(batch, 1), tiles, pixel_bytes
        )
        loader = ModelLoader(
            info,
            tile_size,
            self.threads - self.workers,
            progress or Progress(),
            raw,
            eight_bit,
            self.workers,
            labels,
        )
        self._runs = ActiveRuns()
        self._model: LoadedModel | None = loader.open_on(device)
        self.provider = self._model.provider
        on_card = self.provider in (PROVIDERS["cuda"], PROVIDERS["tensorrt"])
        self.device_name = cuda.device_name() if on_card else self._model.description
        self.warnings, self.notes = loader.warnings, [runtime_description(), *loader.notes]
        if self.provider == CPU:
            at_once = self.workers * (info.fixed_batch or max(batch, 1))
            arena.reserve(bytes_ahead(info, size, at_once))
        elif self.provider not in ON_PROCESSOR:
            self.threads = self.workers = 1
        self.eight_bit = self._model.gpu_graph is not None
        self.takes_raw = self.eight_bit and raw is not None
        self.gives_labels = labels
        self.batch = info.fixed_batch or batch or self._fitting(size, pixel_bytes, tiles)
        self._most = self.batch  # tiles in a run; less after the memory has been too small
        self._halving = threading.Lock()
        self._bound = self._binding() if self.provider == PROVIDERS["cuda"] else None
        self._add_warnings()

    def _add_warnings(self) -> None:
        clash = wheel_clash()
        if clash is not None:
            self.warnings.append(clash)
        if self.info.fixed_size and self.info.margin * 4 == self.info.fixed_size[0]:
            text = translate(
                "ScasNet",
                "The model's output is half as large as its input and is taken as the "
                "centre of the tile: check that the map is not too coarse.",
            )
            self.warnings.append(message(text))

    def _fitting(self, size: tuple[int, int], pixel_bytes: int, tiles: int | None) -> int:
        """Tiles in a call, by the memory of a graphics card; 1 on anything else."""
        if self.provider not in (PROVIDERS["cuda"], PROVIDERS["tensorrt"]):
            return 1
        return cuda.tiles_at_once(cuda.free_bytes(), size[0] * size[1] * pixel_bytes, tiles)

    def _binding(self) -> BoundRuns:
        model = self._opened()
        return BoundRuns(model.session, _input_name(self.info, model))

    def _opened(self) -> LoadedModel:
        if self._model is None:
            raise ModelError(
                translate("ScasNet", "The model was closed before the map was finished.")
            )
        return self._model

    def predict(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Class scores [N, classes, H - 2 margin, W - 2 margin] that add up to 1, or 255.

        ``tiles`` [N, bands, H, W] are float32 in 0-1, or of the raw type where ``takes_raw``; the
        scores float32, or uint8 where ``eight_bit``; labels are uint8 [N, 1, ...]. May be called
        by several threads at a time.
        Where memory is short, fewer tiles at a time are computed from then on.
        Raises Cancelled after ``cancel``, ModelError where the computation fails.
        """
        parts: list[NDArray[Any]] = []
        done = 0
        while done < len(tiles):
            part = tiles[done : done + (self.batch_limit or max(self._most, 1))]
            try:
                parts.append(self._scores(self._prepared(part)))
            except MemoryError as error:
                if self.batch_limit or len(part) == 1:
                    raise no_memory(part.shape, str(error)) from error
                self._halve(len(part))
                continue
            done += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _halve(self, count: int) -> None:
        """Compute at most half of ``count`` tiles at a time from now on, and say so."""
        with self._halving:
            if self._most <= count // 2:  # another thread has seen to it
                return
            self._most = count // 2
            text = translate(
                "ScasNet",
                "Not enough memory for a batch of {count} tiles: continuing with {fewer}.",
            )
            self.warnings.append(message(text, count=count, fewer=self._most))

    def _prepared(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """What the session takes."""
        graph, card = self._opened().gpu_graph, self.info.card
        if graph is not None:
            return np.ascontiguousarray(tiles, dtype=graph.input_type)
        inputs = tiles
        if card.standardise:
            mean = np.asarray(card.mean, dtype=np.float32)[:, None, None]
            inputs = (tiles - mean) / np.asarray(card.std, dtype=np.float32)[:, None, None]
        return np.ascontiguousarray(inputs, dtype=self.info.input_type)

    def _scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        count = len(inputs)
        if self.batch_limit and count < self.batch_limit:
            inputs = inputs[np.arange(self.batch_limit) % count]
        model = self._opened()
        scores, *total = self._run(model, inputs)
        scores = scores[:count]
        rows, cols = (size - 2 * self.margin for size in inputs.shape[2:])
        if scores.shape != (count, self._channels(model), rows, cols):
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} outputs scores of another size for tiles of {rows} x "
                    "{cols} pixels: choose another tile size.",
                ),
                f"{inputs.shape} became {scores.shape}",
                name=self.info.path.name,
                rows=inputs.shape[2],
                cols=inputs.shape[3],
            )
        if not model.gpu_graph:
            scores = model.activation(scores)
        if not np.isfinite((total[0] if total else scores).sum()):
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} outputs no valid scores for a tile: the model is damaged "
                    "or fails on this device; try the device 'cpu'.",
                ),
                name=self.info.path.name,
            )
        if self.gives_labels and not model.gpu_graph:
            return np.stack([highest(tile)[None] for tile in scores])
        return scores

    def _channels(self, model: LoadedModel) -> int:
        if model.gpu_graph is not None:
            return model.gpu_graph.channels
        return 1 if self.info.sigmoid else self.classes

    def _run(self, model: LoadedModel, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Scores and, from a graph for cards, their total. Raises MemoryError."""
        graph = model.gpu_graph
        with self._runs.start() as options:
            try:
                if self._bound is not None:
                    return self._bound.run(inputs, self._outputs(model, inputs), options)
                names = [graph.scores_name, graph.total_name] if graph else [self.info.output_name]
                feed = {_input_name(self.info, model): inputs}
                return [np.asarray(array) for array in model.session.run(names, feed, options)]
            except MemoryError:  # for the buffers, say
                raise
            except Exception as error:  # its exceptions have no common class of their own
                if any(words in str(error).lower() for words in _NO_MEMORY):
                    raise MemoryError(str(error)) from error
                raise ModelError(
                    translate(
                        "ScasNet",
                        "{name} fails on tiles of {rows} x {cols} pixels: choose another tile "
                        "size or device.",
                    ),
                    str(error),
                    name=self.info.path.name,
                    rows=inputs.shape[2],
                    cols=inputs.shape[3],
                ) from error

    def _outputs(
        self, model: LoadedModel, inputs: NDArray[Any]
    ) -> list[tuple[str, str, tuple[int, ...]]]:
        """Name, type and shape of what a run on ``inputs`` gives."""
        rows, cols = (size - 2 * self.margin for size in inputs.shape[2:])
        shape = (len(inputs), self._channels(model), rows, cols)
        if model.gpu_graph is None:
            return [(self.info.output_name, model.output_type, shape)]
        total = (model.gpu_graph.total_name, "float32", (1, 1, 1, 1))
        return [(model.gpu_graph.scores_name, "uint8", shape), total]

    def cancel(self) -> None:
        """Stop all running calls of ``predict``; they and all later ones raise Cancelled."""
        self._runs.cancel()

    def close(self) -> None:
        """Stop what is running, wait for it and free the model; may be called again."""
        self._runs.close()
        if self._bound is not None:
            self._bound.close()
        self._bound = self._model = None
        arena.release()

    def __enter__(self) -> OnnxBackend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def processors() -> int:
    """Processors this process may use, fewer than there are inside a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _input_name(info: ModelInfo, model: LoadedModel) -> str:
    return model.gpu_graph.input_name if model.gpu_graph else info.input_name


class ActiveRuns:
    """Knows the options of every run that goes on, whose ``terminate`` stops it."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._running: set[Any] = set()
        self._cancelled = self._closed = False

    @property
    def cancelled(self) -> bool:
        """Whether runs that end now were stopped."""
        return self._cancelled

    @contextmanager
    def start(self) -> Iterator[Any]:
        """The options of a run that goes on inside the with block.

        Raises Cancelled after ``cancel``, also for whatever a run that was stopped raises, and
        ModelError after ``close``.
        """
        options = run_options()
        with self._state:
            if self._cancelled:
                raise Cancelled
            if self._closed:
                raise ModelError(
                    translate("ScasNet", "The model was closed before the map was finished.")
                )
            self._running.add(options)
        try:
            yield options
        except Exception as error:
            if self._cancelled:
                raise Cancelled from error
            raise
        finally:
            with self._state:
                self._running.discard(options)
                self._state.notify_all()
        if self._cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Stop all runs; later ones raise Cancelled."""
        with self._state:
            self._stop()

    def close(self) -> None:
        """Stop what goes on and wait for it."""
        with self._state:
            if self._running:
                self._stop()
            self._state.wait_for(lambda: not self._running)
            self._closed = True

    def _stop(self) -> None:
        self._cancelled = True
        for options in self._running:
            options.terminate = True


def no_memory(shape: tuple[int, ...], detail: str) -> ModelError:
    return ModelError(
        translate(
            "ScasNet",
            "Not enough memory for tiles of {rows} x {cols} pixels: choose a smaller tile "
            "size, a smaller batch size or fewer threads.",
        ),
        detail,
        rows=shape[2],
        cols=shape[3],
    )
