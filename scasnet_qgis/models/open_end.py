"""A model's graph without the softmax it ends with.

Across the planes of class scores ONNX Runtime's softmax is slow on a processor; numpy's, some rows
at a time, is not (benchmarks/graph.py).
"""

from __future__ import annotations

from scasnet_qgis.models.graph_bytes import Graph, Node, a_node

_HANDING_ON, _MOST_HANDING_ON = (b"Cast", b"Identity"), 8
_CLASSES = ((1,), (-3,))  # the axis of [N, classes, rows, cols]


def without_softmax(graph: Graph) -> dict[int, list[bytes]]:
    """By its place, what stands for the softmax over the classes that the graph ends with.

    Empty where there is none.
    """
    node = _last_softmax(graph)
    if node is None:
        return {}
    return {node.place.start: [a_node(b"Identity", node.inputs[:1], node.outputs[0])]}


def _last_softmax(graph: Graph) -> Node | None:
    """The one that the first output of the graph comes from and nothing else."""
    if not graph.outputs:
        return None
    nodes = {name: node for node in graph.nodes for name in node.outputs}
    name = graph.outputs[0]
    for _ in range(_MOST_HANDING_ON):
        node = nodes.get(name)
        if node is None or not node.inputs:
            return None
        if graph.uses[name] + graph.outputs.count(name) > 1:
            return None
        if node.operator == b"Softmax" and node.numbers.get(b"axis") in _CLASSES:
            return node
        if node.operator not in _HANDING_ON:
            return None
        name = node.inputs[0]
    return None
