"""A model opened on the best provider that really runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models import openvino_session
from scasnet_qgis.models.activations import Activation, activation_of, softmax
from scasnet_qgis.models.arena import use_shared
from scasnet_qgis.models.cpu_graph import strip_softmax
from scasnet_qgis.models.gpu_graph import GpuGraph, RawInput, gpu_graph
from scasnet_qgis.models.model_file import TYPES, ModelInfo, margin_of, probe, probe_image
from scasnet_qgis.models.runtime import (
    CPU,
    PROVIDERS,
    onnxruntime,
    open_session,
    providers_for,
    quiet_options,
    run_options,
    short_name,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROBE = 256  # pixels; enough to see what a model gives, and quick
_POLL_SECONDS = 0.1
# Tiles of one size come again and again, but a try of every algorithm takes memory and seconds.
_CUDA_OPTIONS = {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}


@dataclass
class LoadedModel:
    """A session and what goes in and comes out of it.

    ``gpu_graph`` is None where the session takes and gives what the file says; ``activation`` is
    what is missing behind that.
    """

    session: Any
    provider: str
    activation: Activation
    gpu_graph: GpuGraph | None = None

    @property
    def description(self) -> str:
        """What else is to be told of what computes, such as its version; often nothing."""
        return str(getattr(self.session, "description", ""))

    @property
    def output_type(self) -> str:
        """numpy's name of the type of the scores."""
        return "uint8" if self.gpu_graph else TYPES[self.session.get_outputs()[0].type]


@dataclass
class ModelLoader:
    """Opens a model: ``helpers`` are threads on a CPU that help inside tiles.

    ``warnings`` and ``notes`` say for the user what happened.
    """

    info: ModelInfo
    tile_size: tuple[int, int]
    helpers: int
    progress: Progress
    raw: RawInput | None = None
    eight_bit: bool | None = None
    workers: int = 1
    labels: bool = False
    warnings: list[Message] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)

    def open_on(self, device: str) -> LoadedModel:
        """On the first provider that loads and computes a probe; the last one tried is the CPU."""
        candidates = [
            provider for provider in providers_for(device) if self._suits(provider, device)
        ]
        _load_libraries(tuple(candidates))
        for provider, following in zip(candidates, [*candidates[1:], CPU]):
            try:
                if provider == CPU and not self._wants_eight_bit(CPU):
                    return self._on_processor()
                session = self._session(provider)
                really = str(session.get_providers()[0])
                if really == provider:
                    plain = LoadedModel(session, really, self._probe(session))
                    return self._eight_bit(plain) if self._wants_eight_bit(really) else plain
                reason = message(translate("ScasNet", "its driver or libraries do not load"))
            except ModelError as error:
                if provider == CPU:
                    raise
                reason = Message(_short(error.detail)) if error.detail else error.message
            text = translate(
                "ScasNet",
                "Device '{device}' cannot run this model; '{other}' is used instead ({reason}).",
            )
            names = {"device": short_name(provider), "other": short_name(following)}
            self.warnings.append(message(text, **names, reason=reason))
        raise ModelError(
            translate("ScasNet", "No device can run {name}."), name=self.info.path.name
        )

    def _on_processor(self) -> LoadedModel:
        """On the CPU, with the graph that is fastest there."""
        try:
            # Of a single channel a softmax makes ones, which stand for something else.
            content = b"" if self.info.sigmoid else strip_softmax(self.info.path)
        except (OSError, ValueError):  # the session will say what is wrong
            content = b""
        session = self._session(CPU, content)
        activation = self._probe(session)
        return LoadedModel(session, CPU, softmax if content else activation)

    def _session(self, provider: str, content: bytes = b"") -> Any:
        if provider == openvino_session.NAME:
            return self._openvino()
        options = quiet_options(self.helpers + 1 if provider == CPU else 1)
        if provider == CPU:
            use_shared(options)
            return open_session(self.info.path, [CPU], options, content)
        if provider == PROVIDERS["directml"]:  # it cannot plan memory ahead
            options.enable_mem_pattern = False
        own = (provider, _CUDA_OPTIONS) if provider == PROVIDERS["cuda"] else provider
        return open_session(self.info.path, [own, CPU], options, content)

    def _openvino(self) -> Any:
        info = self.info
        if info.input_type != "float32":
            raise ModelError(
                translate("ScasNet", "OpenVINO cannot run {name}: choose another device."),
                f"its input is {info.input_type}",
                name=info.path.name,
            )
        names = (info.input_name, info.output_name)
        threads = self.workers + self.helpers
        return openvino_session.OpenVinoSession(info.path, names, self.workers, threads)

    def _suits(self, provider: str, device: str) -> bool:
        """Whether a provider that nobody asked for is better than those after it."""
        by_itself = device.strip().lower() == "auto" and provider == openvino_session.NAME
        short = self.info.card.precision in ("int8", "float16")
        # What memory a network of others takes there is not known, nor is it bounded.
        known = bool(self.info.card.network) and self.info.input_type == "float32"
        return not by_itself or (known and not short)

    def _wants_eight_bit(self, provider: str) -> bool:
        if provider == openvino_session.NAME:
            return False
        return provider != CPU if self.eight_bit is None else self.eight_bit

    def _eight_bit(self, plain: LoadedModel) -> LoadedModel:
        """The same with 8-bit scores; as it was, and a note why, where that cannot be had."""
        try:
            graph = gpu_graph(self.info, self.raw, plain.activation, self.labels)
            session = self._session(plain.provider, graph.content)
            self._probe_eight_bit(session, graph)
        except Exception as error:  # ONNX Runtime's have no common class of their own
            reason = Message(_short(str(getattr(error, "detail", "") or error)))
        else:
            return LoadedModel(session, plain.provider, plain.activation, graph)
        text = translate(
            "ScasNet",
            "Data is transferred to the device in single precision, which is slower "
            "than 8 bit ({reason}).",
        )
        self.notes.append(message(text, reason=reason))
        return plain

    def _shape(self) -> tuple[int, int, int, int]:
        info = self.info
        rows, cols = info.fixed_size or (min(side, _PROBE) for side in self.tile_size)
        return info.fixed_batch or 1, info.bands, rows, cols

    def _probe(self, session: Any) -> Activation:
        info, shape = self.info, self._shape()
        options = run_options()
        # In a thread, because a tile of a large fixed size takes long and a user may cancel.
        with ThreadPoolExecutor(1, thread_name_prefix="scasnet-probe") as pool:
            future = pool.submit(probe, info.path.name, session, shape, info.input_type, options)
            while not wait((future,), timeout=_POLL_SECONDS).done:
                options.terminate = self.progress.cancelled
        self.progress.check()
        scores = future.result()
        channels = 1 if info.sigmoid else info.classes
        margin = margin_of(info.path.name, shape[2:], scores.shape[2:])
        if (scores.shape[1], margin) != (channels, info.margin):
            raise ModelError(
                translate(
                    "ScasNet",
                    "The output of {name} differs from what the file states: export it again.",
                ),
                f"{shape} became {scores.shape}",
                name=info.path.name,
            )
        return activation_of(scores)

    def _probe_eight_bit(self, session: Any, graph: GpuGraph) -> None:
        """Raise ValueError where the edited model does not give what it should."""
        names = [graph.scores_name, graph.total_name]
        feed = {graph.input_name: self._made_up(graph.input_type)}
        scores, total = session.run(names, feed, run_options())
        rows, cols = (size - 2 * self.info.margin for size in self._shape()[2:])
        right = (self._shape()[0], graph.channels, rows, cols)
        if scores.shape != right or scores.dtype != np.uint8 or not np.isfinite(total).all():
            raise ValueError(f"{right} was expected and {scores.shape} was given")

    def _made_up(self, dtype: str) -> NDArray[Any]:
        image = probe_image(self._shape())
        if self.raw is not None:
            low, high = (
                np.asarray(values, dtype=np.float32)[:, None, None]
                for values in (self.raw.low, self.raw.high)
            )
            image = low + image * (high - low)
        return image.astype(dtype)


@lru_cache(maxsize=4)
def _load_libraries(providers: tuple[str, ...]) -> None:
    """Load CUDA's libraries from NVIDIA's own packages, where those are installed."""
    module = onnxruntime()
    wanted = {PROVIDERS["cuda"], PROVIDERS["tensorrt"]}
    needed = wanted & set(providers) & set(module.get_available_providers())
    if needed and hasattr(module, "preload_dlls"):
        with redirect_stdout(StringIO()):  # it prints what it does not find
            module.preload_dlls()


def _short(detail: str) -> str:
    return " ".join(detail.split())[:200]
