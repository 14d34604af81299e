"""A model's graph as ONNX Runtime computes it fastest on a processor, edited in memory.

Across the planes of class scores ONNX Runtime's softmax is slow on a processor; numpy's, some rows
at a time, is not (benchmarks/graph.py).
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

from scasnet_qgis.models.onnx_proto import (
    EXTERNAL,
    MAX_EDITED,
    is_own,
    outline,
    own_versions,
    read_model,
)

_LEAST_OPSET = 13  # before, a softmax took all axes from the given one on together
_PASSING_ON, _MOST_PASSING_ON = (b"Cast", b"Identity"), 8
_CLASS_AXES = (1, -3)  # of [N, classes, rows, cols]


def strip_softmax(path: Path) -> bytes:
    """The file of a model without the softmax that its scores come from, empty where it stays.

    Nothing is changed where that cannot be done for sure: with weights in files of their own,
    graphs inside of operators, or in a file of more than MAX_EDITED bytes. Raises ValueError for
    what is no ONNX file, OSError where it cannot be read.
    """
    if path.stat().st_size > MAX_EDITED:
        return b""
    data = path.read_bytes()
    model = outline(io.BytesIO(data))
    index = _last_softmax(model.graph) if _is_plain(model) else None
    if index is None:
        return b""
    model = read_model(data)
    del data  # as large as what is made of it
    node = model.graph.node[index]
    node.op_type = b"Identity"
    node.ClearField("attribute")
    return bytes(model.SerializeToString())


def _is_plain(model: Any) -> bool:
    """Whether operators mean what ONNX says, and all weights are in the file, once each."""
    versions = own_versions(model)
    if len(versions) != 1 or versions[0] < _LEAST_OPSET:
        return False
    if any(is_own(function.domain) for function in model.functions):
        return False
    graph = model.graph
    names = [tensor.name for tensor in graph.initializer]
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    tensors = [*graph.initializer, *(attribute.t for attribute in attributes)]
    return (
        len(set(names)) == len(names)
        and not any(attribute.HasField("g") or attribute.graphs for attribute in attributes)
        and not any(tensor.data_location == EXTERNAL for tensor in tensors)
    )


def _last_softmax(graph: Any) -> int | None:
    """Which node makes the first output of the graph, by a softmax over the classes.

    None where there is none, or where something else takes its result too.
    """
    if not graph.output:
        return None
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    name = graph.output[0].name
    for _ in range(_MOST_PASSING_ON):
        index = makers.get(name)
        if index is None or uses[name] > 1:
            return None
        node = graph.node[index]
        if not is_own(node.domain) or not node.input:
            return None
        if node.op_type == b"Softmax" and _axis(node) in _CLASS_AXES:
            return index
        if node.op_type not in _PASSING_ON:
            return None
        name = node.input[0]
    return None


def _axis(node: Any) -> int | None:
    axes = [
        attribute.i
        for attribute in node.attribute
        if attribute.name == b"axis" and attribute.HasField("i")
    ]
    return int(axes[0]) if len(axes) == 1 else None
