"""Class scores of tiles, computed by ONNX Runtime."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.errors import Cancelled, ModelError
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.models.onnx_file import ModelInfo
from scasnet_qgis.models.providers import choose, short_name
from scasnet_qgis.models.runtime import CPU, onnxruntime, open_session, run_options
from scasnet_qgis.models.scores import Activation, activation_of
from scasnet_qgis.models.shapes import crop, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROBE = 256  # pixels; enough to see what a model gives, and quick
_POLL_SECONDS = 0.1
# What side by side computed tiles may hold in memory, however many processors there are, and what a
# tile holds while it is computed, by pixel of the input: 200 to 230 bytes were measured on the
# shipped model. A network of wider layers needs more, but only a run of a whole tile would tell.
_WORKING_BYTES = 2**30
_BYTES_A_PIXEL = 220
_NO_MEMORY = ("out of memory", "failed to allocate", "bad allocation", "bad_alloc")


class OnnxBackend:
    """A model, opened on the best provider that really runs it.

    ``provider`` is ONNX Runtime's name of that provider. ``workers`` is how many calls of
    ``predict`` usefully run side by side: on a CPU one thread to a tile beats all threads in one
    tile, while there are tiles and memory for it. ``threads`` is how many compute: the workers
    and, on a CPU, those that help them inside their tiles. ``batch_limit`` is the number of tiles
    the model takes at once, None for any. The scores are ``margin`` pixels smaller than the tile
    on each side. ``warnings`` are sentences for the user.
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
    ) -> None:
        """``tiles`` will be computed (None: many), ``batch`` in a call; ``progress`` may cancel."""
        self.info = info
        self.bands, self.classes, self.margin = info.bands, info.classes, info.margin
        self.batch_limit = info.fixed_batch
        self.warnings: list[Message] = []
        self._running: set[Any] = set()
        self._state = threading.Condition()
        self._cancelled = False
        self.threads = threads if threads > 0 else processors()
        size = info.fixed_size or tile_size
        self.workers = workers_for(self.threads, size, info.fixed_batch or max(batch, 1), tiles)
        self._session, self.provider, self._activation = self._open(
            device, tile_size, progress or Progress()
        )
        if self.provider != CPU:
            self.threads = self.workers = 1
        if info.fixed_size and info.margin * 4 == info.fixed_size[0]:
            text = translate(
                "ScasNet",
                "The model's output is half as large as its input and is taken for the middle of "
                "the tile: check that the map is not too coarse.",
            )
            self.warnings.append(message(text))

    def _open(
        self, device: str, tile_size: tuple[int, int], progress: Progress
    ) -> tuple[Any, str, Activation]:
        """The first provider that loads and computes a probe; the last to be tried is the CPU."""
        candidates = choose(device)
        for provider, following in zip(candidates, [*candidates[1:], CPU]):
            only = [CPU] if provider == CPU else [provider, CPU]
            try:
                session = open_session(self.info.path, only)
                really = str(session.get_providers()[0])
                if really == provider:
                    if really == CPU:
                        session = self._with_helpers(session)
                    return session, really, self._probe(session, tile_size, progress)
                detail = "its driver or libraries do not load"
            except ModelError as error:
                if provider == CPU:
                    raise
                detail = error.detail or error.sentence
            text = translate(
                "ScasNet",
                "The device '{device}' cannot run this model, so '{other}' is used instead "
                "({reason}).",
            )
            reason = " ".join(detail.split())[:200]
            names = {"device": short_name(provider), "other": short_name(following)}
            self.warnings.append(message(text, **names, reason=reason))
        raise ModelError(
            translate("ScasNet", "No execution provider here can run {name}."),
            name=self.info.path.name,
        )

    def _with_helpers(self, session: Any) -> Any:
        """The session, opened again with a pool for the threads that are no workers.

        All workers share the pool, so that no thread is idle whatever their numbers are.
        """
        helpers = self.threads - self.workers
        if not helpers:
            return session
        options = session.get_session_options()
        options.intra_op_num_threads = helpers + 1  # ONNX Runtime counts the calling thread
        return onnxruntime().InferenceSession(str(self.info.path), options, providers=[CPU])

    def _probe(self, session: Any, tile_size: tuple[int, int], progress: Progress) -> Activation:
        info = self.info
        rows, cols = info.fixed_size or (min(each, _PROBE) for each in tile_size)
        shape = (info.fixed_batch or 1, info.bands, rows, cols)
        options = run_options()
        # In a thread, because a tile of a large fixed size takes long and a user may cancel.
        with ThreadPoolExecutor(1, thread_name_prefix="scasnet-probe") as pool:
            future = pool.submit(probe, info.path.name, session, shape, info.input_type, options)
            while not wait((future,), timeout=_POLL_SECONDS).done:
                options.terminate = progress.cancelled
        progress.check()
        scores = future.result()
        channels = 1 if info.sigmoid else info.classes
        margin = crop(info.path.name, shape[2:], scores.shape[2:])
        if (scores.shape[1], margin) != (channels, info.margin):
            raise ModelError(
                translate("ScasNet", "{name} does not give what it states: export it again."),
                f"{shape} became {scores.shape}",
                name=info.path.name,
            )
        return activation_of(scores)

    def predict(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class scores that add up to 1, [N, classes, H - 2 margin, W - 2 margin] float32.

        ``tiles`` [N, bands, H, W] float32 in 0-1. May be called by several threads at a time.
        Raises Cancelled after ``cancel``, ModelError where the computation fails.
        """
        inputs = tiles
        card = self.info.card
        if card.standardise:
            mean = np.asarray(card.mean, dtype=np.float32)[:, None, None]
            inputs = (tiles - mean) / np.asarray(card.std, dtype=np.float32)[:, None, None]
        inputs = np.ascontiguousarray(inputs, dtype=self.info.input_type)
        step = self.batch_limit or len(inputs)
        parts = [self._scores(inputs[at : at + step]) for at in range(0, len(inputs), step)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _scores(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        count = len(inputs)
        if self.batch_limit and count < self.batch_limit:
            inputs = inputs[np.arange(self.batch_limit) % count]
        scores = self._run(inputs)[:count]
        rows, cols = (each - 2 * self.margin for each in inputs.shape[2:])
        channels = 1 if self.info.sigmoid else self.classes
        if scores.shape != (count, channels, rows, cols):
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} gives scores of another size for tiles of {rows} x {cols} pixels: "
                    "choose another tile size.",
                ),
                f"{inputs.shape} became {scores.shape}",
                name=self.info.path.name,
                rows=inputs.shape[2],
                cols=inputs.shape[3],
            )
        result = self._activation(scores)
        if not np.isfinite(result.sum(dtype=np.float64)):
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} gives no valid scores for a tile: the model is damaged or this device "
                    "computes it wrongly, so try the device 'cpu'.",
                ),
                name=self.info.path.name,
            )
        return result

    def _run(self, inputs: NDArray[Any]) -> NDArray[Any]:
        options = run_options()
        with self._state:
            if self._cancelled:
                raise Cancelled
            session = self._session
            if session is None:
                raise ModelError(
                    translate("ScasNet", "The model was closed before the map was finished.")
                )
            self._running.add(options)
        try:
            feed = {self.info.input_name: inputs}
            (scores,) = session.run([self.info.output_name], feed, options)
        except Exception as error:  # its exceptions have no common class of their own
            if self._cancelled:
                raise Cancelled from error
            raise _failed(self.info.path.name, inputs.shape, str(error)) from error
        finally:
            with self._state:
                self._running.discard(options)
                self._state.notify_all()
        if self._cancelled:
            raise Cancelled
        return np.asarray(scores)

    def cancel(self) -> None:
        """Stop all running calls of ``predict``; they and all later ones raise Cancelled."""
        with self._state:
            self._cancelled = True
            for options in self._running:
                options.terminate = True

    def close(self) -> None:
        """Stop what is running, wait for it and free the model; may be called again."""
        with self._state:
            if self._running:
                self._cancelled = True
                for options in self._running:
                    options.terminate = True
            self._state.wait_for(lambda: not self._running)
            self._session = None

    def __enter__(self) -> OnnxBackend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def workers_for(
    threads: int, tile_size: tuple[int, int], batch: int = 1, tiles: int | None = None
) -> int:
    """How many of ``threads`` can each have a call of their own, by memory and by tiles."""
    worker_bytes = tile_size[0] * tile_size[1] * batch * _BYTES_A_PIXEL
    calls = threads if tiles is None else -(-tiles // batch)
    return max(min(threads, _WORKING_BYTES // worker_bytes, calls), 1)


def processors() -> int:
    """Processors this process may use, fewer than there are inside a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _failed(name: str, shape: tuple[int, ...], detail: str) -> ModelError:
    if any(each in detail.lower() for each in _NO_MEMORY):
        return ModelError(
            translate(
                "ScasNet",
                "There is not enough memory for tiles of {rows} x {cols} pixels: choose a "
                "smaller tile size, a smaller batch or fewer threads.",
            ),
            detail,
            rows=shape[2],
            cols=shape[3],
        )
    return ModelError(
        translate(
            "ScasNet",
            "{name} fails on tiles of {rows} x {cols} pixels: choose another tile size or device.",
        ),
        detail,
        name=name,
        rows=shape[2],
        cols=shape[3],
    )
