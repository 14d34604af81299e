"""OpenVINO through its own package, looking to the backend like a session of ONNX Runtime.

It computes in bfloat16 where the processor can, which ONNX Runtime does not, and which is then
about as much faster as the numbers are shorter (benchmarks/providers.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import util
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "OpenVINO"
_DEVICE = "CPU"
_POLL_MILLISECONDS = 100
_SHORT, _SINGLE = "bf16", "f32"
_NAMES = {_SHORT: "bfloat16", _SINGLE: "float32"}


def is_there() -> bool:
    """Whether the package is installed; it is not imported."""
    return util.find_spec("openvino") is not None


@lru_cache(maxsize=1)
def _core() -> Any:
    """Raises ModelError where the package does not load."""
    try:
        import openvino

        return openvino.Core()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise ModelError(
            translate("ScasNet", "The Python package openvino does not load: install it again."),
            str(error),
        ) from error


def has_short_numbers() -> bool:
    """Whether this processor computes in bfloat16; False too where the package does not load."""
    try:
        return "BF16" in _core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    except (ModelError, RuntimeError):
        return False


def pays() -> bool:
    """Whether it is clearly faster than ONNX Runtime here; in single precision it hardly is."""
    return is_there() and has_short_numbers()


@dataclass(frozen=True)
class Port:
    """An input or output, as ONNX Runtime describes one."""

    name: str
    type: str = "tensor(float)"


class OpenVinoSession:
    """A model that ``workers`` threads may run at a time, on ``threads`` threads all together."""

    def __init__(self, path: Path, names: tuple[str, str], workers: int, threads: int) -> None:
        """``names`` are those of the model's input and output; raises ModelError."""
        self._names = names
        hint = _SHORT if has_short_numbers() else _SINGLE
        options = {
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": hint,
        }
        core = _core()
        try:
            compiled = core.compile_model(core.read_model(path), _DEVICE, options)
            self._idle: SimpleQueue[Any] = SimpleQueue()
            for _ in range(workers):
                self._idle.put(compiled.create_infer_request())
        except RuntimeError as error:
            raise ModelError(
                translate("ScasNet", "OpenVINO cannot run {name}: choose another device."),
                str(error),
                name=path.name,
            ) from error
        self.description = f"{_version()}, {_NAMES[hint]}"

    def get_providers(self) -> list[str]:
        return [NAME]

    def get_inputs(self) -> list[Port]:
        return [Port(self._names[0])]

    def get_outputs(self) -> list[Port]:
        return [Port(self._names[1])]

    def run(
        self, _outputs: Sequence[str], feed: Mapping[str, NDArray[np.float32]], options: Any
    ) -> list[NDArray[np.float32]]:
        """The scores of one run, which ends early once ``options.terminate`` is set.

        Raises RuntimeError where the computation fails or was ended.
        """
        import numpy as np  # the names of providers are loaded with QGIS

        (tiles,) = feed.values()
        request = self._idle.get()
        try:
            request.start_async({0: tiles}, share_inputs=True)
            while not request.wait_for(_POLL_MILLISECONDS):
                if options is not None and options.terminate:
                    request.cancel()
            request.wait()  # raises what went wrong
            return [np.array(request.get_output_tensor(0).data, dtype=np.float32)]
        finally:
            self._idle.put(request)


def _version() -> str:
    import openvino

    return str(openvino.__version__).split("-", maxsplit=1)[0]
