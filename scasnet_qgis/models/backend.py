"""Class scores of tiles, computed by ONNX Runtime."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.errors import Cancelled, ModelError
from scasnet_qgis.models.onnx_file import ModelInfo
from scasnet_qgis.models.providers import choose, short_name
from scasnet_qgis.models.runtime import CPU, open_session, run_options
from scasnet_qgis.models.scores import Activation, activation_of
from scasnet_qgis.models.shapes import crop, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROBE = 256  # pixels; enough to see what a model gives, and quick
_NO_MEMORY = ("out of memory", "failed to allocate", "bad allocation", "bad_alloc")


class OnnxBackend:
    """A model, opened on the best provider that really runs it.

    ``provider`` is ONNX Runtime's name of that provider. ``workers`` is how many calls of
    ``predict`` usefully run side by side: on a CPU one thread to a tile beats all threads in one
    tile. ``batch_limit`` is the number of tiles the model takes at once, None for any. The scores
    are ``margin`` pixels smaller than the tile on each side. ``warnings`` are sentences for the
    user.
    """

    def __init__(
        self,
        info: ModelInfo,
        device: str = "auto",
        threads: int = 0,
        tile_size: tuple[int, int] = (512, 512),
    ) -> None:
        self.info = info
        self.bands, self.classes, self.margin = info.bands, info.classes, info.margin
        self.batch_limit = info.fixed_batch
        self.threads = threads if threads > 0 else processors()
        self.warnings: list[str] = []
        self._running: set[Any] = set()
        self._state = threading.Condition()
        self._cancelled = False
        self._session, self.provider, self._activation = self._open(device, tile_size)
        self.workers = self.threads if self.provider == CPU else 1
        size = info.fixed_size
        if size and info.margin * 4 == size[0]:
            self.warnings.append(
                "The model's output is half as large as its input and is taken for the middle of "
                "the tile: check that the map is not too coarse."
            )

    def _open(self, device: str, tile_size: tuple[int, int]) -> tuple[Any, str, Activation]:
        """The first provider that loads and computes a probe; the last to be tried is the CPU."""
        candidates = choose(device)
        for provider, following in zip(candidates, [*candidates[1:], CPU]):
            only = [CPU] if provider == CPU else [provider, CPU]
            try:
                session = open_session(self.info.path, only)
                really = str(session.get_providers()[0])
                if really == provider:
                    return session, really, self._probe(session, tile_size)
                detail = "its driver or libraries do not load"
            except ModelError as error:
                if provider == CPU:
                    raise
                detail = error.detail or error.sentence
            self.warnings.append(
                f"The device '{short_name(provider)}' cannot run this model, so "
                f"'{short_name(following)}' is used instead ({' '.join(detail.split())[:200]})."
            )
        raise ModelError(f"No execution provider here can run {self.info.path.name}.")

    def _probe(self, session: Any, tile_size: tuple[int, int]) -> Activation:
        info = self.info
        rows, cols = info.fixed_size or (min(each, _PROBE) for each in tile_size)
        shape = (info.fixed_batch or 1, info.bands, rows, cols)
        scores = probe(info.path.name, session, shape, info.input_type, run_options())
        channels = 1 if info.sigmoid else info.classes
        margin = crop(info.path.name, shape[2:], scores.shape[2:])
        if (scores.shape[1], margin) != (channels, info.margin):
            raise ModelError(
                f"{info.path.name} does not give what it states: export it again.",
                f"{shape} became {scores.shape}",
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
                f"{self.info.path.name} gives scores of another size for tiles of "
                f"{inputs.shape[2]} x {inputs.shape[3]} pixels: choose another tile size.",
                f"{inputs.shape} became {scores.shape}",
            )
        result = self._activation(scores)
        if not np.isfinite(result.sum(dtype=np.float64)):
            raise ModelError(
                f"{self.info.path.name} gives no valid scores for a tile: the model is damaged or "
                "this device computes it wrongly, so try the device 'cpu'."
            )
        return result

    def _run(self, inputs: NDArray[Any]) -> NDArray[Any]:
        options = run_options()
        with self._state:
            if self._cancelled:
                raise Cancelled
            session = self._session
            if session is None:
                raise ModelError("The model was closed before the map was finished.")
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


def processors() -> int:
    """Processors this process may use, fewer than there are inside a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _failed(name: str, shape: tuple[int, ...], detail: str) -> ModelError:
    if any(each in detail.lower() for each in _NO_MEMORY):
        return ModelError(
            f"There is not enough memory for tiles of {shape[2]} x {shape[3]} pixels: choose a "
            "smaller tile size, a smaller batch or fewer threads.",
            detail,
        )
    return ModelError(
        f"{name} fails on tiles of {shape[2]} x {shape[3]} pixels: choose another tile size or "
        "device.",
        detail,
    )
