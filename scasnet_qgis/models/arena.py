"""The memory that models compute in: one pool for all of them on the processor.

ONNX Runtime's own pools double in size whenever they are full, and so hold up to a quarter more
than is in use, the more the longer tiles are computed side by side. This one grows by what is
asked for; but it belongs to the process and outlives the models, so it has to be emptied.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from scasnet_qgis.models.onnx_proto import add_node, add_value, new_model
from scasnet_qgis.models.runtime import CPU, onnxruntime, quiet_options, run_options

_SHARED = "session.use_env_allocators"
_SHRINK = "memory.enable_memory_arena_shrinkage"
_GROW_BY_NEED = 1  # kSameAsRequested
_SHARE = 0.75  # of the memory there is
_FLOAT = 4


def use_shared(options: Any) -> None:
    """Let a session with these options, which is for the CPU, compute in the shared pool."""
    # With a plan by shape, each worker would hold a block for all of a tile that others cannot use.
    options.enable_mem_pattern = False
    if _registered():
        options.add_session_config_entry(_SHARED, "1")


@lru_cache(maxsize=1)
def _registered() -> bool:
    module = onnxruntime()
    if not hasattr(module, "create_and_register_allocator"):
        return False
    info = module.OrtMemoryInfo(
        "Cpu", module.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, module.OrtMemType.DEFAULT
    )
    how = {"arena_extend_strategy": _GROW_BY_NEED}
    if most := _most_bytes():
        how["max_mem"] = most
    try:
        module.create_and_register_allocator(info, module.OrtArenaCfg(how))
    except Exception:  # its exceptions have no common class; each session has a pool without it
        return False
    return True


def reserve(size: int) -> None:
    """Have at least ``size`` bytes in one piece, given to this process now and not bit by bit.

    Less of it gets lost between tiles than where each tile adds pieces, and a map that will need
    more memory than there is fails before it starts. Where that much is not there, nothing is done.
    """
    if size and _registered():
        with suppress(Exception):  # its exceptions have no common class; the run will tell
            _fill(size // _FLOAT, run_options())


def _most_bytes() -> int:
    """What models may hold together: a few bytes of a graph can ask for any amount.

    Linux gives more than it has, and then ends the process. 0 where the amount is not known, as on
    Windows, which refuses what it has not.
    """
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _SHARE)
    except (AttributeError, ValueError, OSError):
        return 0


def release() -> None:
    """Give what no model uses back to the system."""
    if _registered():
        options = run_options()
        options.add_run_config_entry(_SHRINK, "cpu:0")
        # Only at the end of a run does ONNX Runtime shrink its pools.
        _fill(1, options)


def _fill(count: int, options: Any) -> None:
    """Let a model fill so many numbers with 0 and forget them."""
    _filling().run(None, {"x": np.array([count], dtype=np.int64)}, options)


@lru_cache(maxsize=1)
def _filling() -> Any:
    options = quiet_options()
    use_shared(options)
    return onnxruntime().InferenceSession(_filling_model(), options, providers=[CPU])


def _filling_model() -> bytes:
    """The file of a model that makes a vector of ``x`` zeros and gives its length."""
    model = new_model(opset=13)
    graph = model.graph
    graph.name = b"zeros"
    add_node(graph, "ConstantOfShape", ["x"], "v")
    add_node(graph, "Size", ["v"], "y")
    add_value(graph.input, "x", "int64", (1,))
    add_value(graph.output, "y", "int64", ())
    return bytes(model.SerializeToString())
