"""What ONNX Runtime does not offer of CUDA: how much memory is free, and pages that stay put.

The runtime library is the one that ONNX Runtime has loaded. Where it is not found, everything
works without.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VERSIONS = {"win32": ("64_13.dll", "64_12.dll"), "linux": (".so.13", ".so.12")}
_MOST_TILES = 16  # in a call; more kept no card busier in published measurements of such networks
_SHARE_OF_FREE = 2  # half of the free memory
_WORKSPACE = 2  # times what the layers themselves hold, for cuDNN's working space


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
        for index, each in enumerate(self._locked):
            if each is array:
                _runtime().cudaHostUnregister(ctypes.c_void_p(array.ctypes.data))
                del self._locked[index]
                return
