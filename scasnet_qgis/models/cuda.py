"""What ONNX Runtime does not offer of CUDA: how much memory is free, and pages that stay put.

The runtime library is the one that ONNX Runtime has loaded. Where it is not found, everything
works without.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VERSIONS = {"win32": ("64_13.dll", "64_12.dll"), "linux": (".so.13", ".so.12")}
_MOST_TILES = 16  # in a call; more kept no card busier in published measurements of such networks
_SHARE_OF_FREE = 2  # half of the free memory
_WORKSPACE = 2  # times what the layers themselves hold, for cuDNN's working space
Output = tuple[str, str, tuple[int, ...]]  # name, numpy's name of the type, shape


@lru_cache(maxsize=1)
def _runtime() -> Any:
    """CUDA's runtime library, None where there is none."""
    prefix = "cudart" if sys.platform == "win32" else "libcudart"
    loaded = (_library(prefix + ending) for ending in _VERSIONS.get(sys.platform, ()))
    return next(filter(None, loaded), None)


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def free_bytes() -> int | None:
    """Free memory of the graphics card in use; None where it cannot be told."""
    runtime = _runtime()
    if runtime is None:
        return None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    failed = runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    return None if failed else free.value


def device_name() -> str:
    """What the first graphics card calls itself; empty where that cannot be told."""
    driver = _library("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    text = ctypes.create_string_buffer(256)
    if driver is None or driver.cuInit(0) or driver.cuDeviceGetName(text, len(text), 0):
        return ""
    return text.value.decode("utf-8", "replace")


def tiles_at_once(free: int | None, tile_bytes: int, tiles: int | None) -> int:
    """How many tiles a card with so many ``free`` bytes (None: not known) takes in a call.

    ``tile_bytes`` is what the layers hold of one, ``tiles`` how many there are (None: many).
    """
    if free is None:
        return 1
    fitting = free // _SHARE_OF_FREE // (_WORKSPACE * max(tile_bytes, 1))
    return max(min(fitting, _MOST_TILES, tiles or _MOST_TILES), 1)


class PageLocks:
    """Keeps arrays where they are in memory, so that a card reads and writes them by itself."""

    def __init__(self) -> None:
        self._locked: list[NDArray[Any]] = []

    def lock(self, array: NDArray[Any]) -> None:
        """Lock the pages of an array that owns its memory; without CUDA nothing happens."""
        runtime = _runtime()
        if runtime is None or not array.nbytes:
            return
        address = ctypes.c_void_p(array.ctypes.data)
        if not runtime.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), 0):
            self._locked.append(array)

    def release(self, array: NDArray[Any]) -> None:
        """Unlock an array; nothing happens where it is not locked."""
        for index, locked in enumerate(self._locked):
            if locked is array:
                _runtime().cudaHostUnregister(ctypes.c_void_p(array.ctypes.data))
                del self._locked[index]
                return


class BoundRuns:
    """Runs a session in buffers that a graphics card reads and writes without a copy between.

    Each run that goes on at the same time has buffers of its own. On a CPU it works the same,
    and is of no use.
    """

    def __init__(self, session: Any, input_name: str) -> None:
        self._session, self._input_name = session, input_name
        self._locks = PageLocks()
        self._state = threading.Lock()
        self._idle: list[_Buffers] = []

    def run(
        self, inputs: NDArray[Any], outputs: Sequence[Output], options: Any
    ) -> list[NDArray[Any]]:
        """What the session gives for ``inputs``, copied out of the buffers."""
        buffers = self._take(inputs, outputs)
        try:
            binding = self._session.io_binding()
            np.copyto(buffers.source, inputs)
            # Binding the input sends it to the card, so it has to be filled before.
            _bind(binding.bind_input, self._input_name, buffers.source)
            for (name, _, _), target in zip(outputs, buffers.targets):
                _bind(binding.bind_output, name, target)
            self._session.run_with_iobinding(binding, options)
            binding.synchronize_outputs()
            return [target.copy() for target in buffers.targets]
        finally:
            with self._state:
                self._idle.append(buffers)

    def _take(self, inputs: NDArray[Any], outputs: Sequence[Output]) -> _Buffers:
        """Idle buffers of these shapes; those of other shapes are freed."""
        with self._state:
            fitting = [buffers for buffers in self._idle if buffers.fit(inputs, outputs)]
            for buffers in self._idle:
                if buffers not in fitting:
                    buffers.unlock(self._locks)
            self._idle = fitting[1:]
            return fitting[0] if fitting else _Buffers(inputs, outputs, self._locks)

    def close(self) -> None:
        """Free the buffers; no run may go on."""
        with self._state:
            for buffers in self._idle:
                buffers.unlock(self._locks)
            self._idle.clear()


class _Buffers:
    def __init__(self, inputs: NDArray[Any], outputs: Sequence[Output], locks: PageLocks) -> None:
        self.source = np.empty(inputs.shape, dtype=inputs.dtype)
        self.targets = [np.empty(shape, dtype=dtype) for _, dtype, shape in outputs]
        for array in (self.source, *self.targets):
            locks.lock(array)

    def fit(self, inputs: NDArray[Any], outputs: Sequence[Output]) -> bool:
        """Whether they are of these shapes and types."""
        here = [(str(target.dtype), target.shape) for target in self.targets]
        wanted = [(dtype, shape) for _, dtype, shape in outputs]
        same_input = (self.source.dtype, self.source.shape) == (inputs.dtype, inputs.shape)
        return same_input and here == wanted

    def unlock(self, locks: PageLocks) -> None:
        """Give their pages back to the system."""
        for array in (self.source, *self.targets):
            locks.release(array)


def _bind(bind: Any, name: str, array: NDArray[Any]) -> None:
    bind(
        name=name,
        device_type="cpu",
        device_id=0,
        element_type=array.dtype.type,
        shape=array.shape,
        buffer_ptr=array.ctypes.data,
    )
