"""A model's graph as ONNX Runtime computes it fastest on a processor, edited in memory."""

from __future__ import annotations

from pathlib import Path

from scasnet_qgis.models.graph_bytes import opened_graph
from scasnet_qgis.models.open_end import without_softmax

_LEAST_OPSET = 13  # before, a softmax took all axes from the given one on together


def for_processor(path: Path) -> bytes:
    """The file of a model without the softmax that its scores come from, empty where it stays.

    Nothing is changed where that cannot be done for sure: with weights in files of their own, or
    graphs inside of operators. Raises ValueError for what is no ONNX file, OSError where it cannot
    be read.
    """
    with opened_graph(path) as graph:
        if graph is None or not graph.simple or graph.opset < _LEAST_OPSET:
            return b""
        exchanged = without_softmax(graph)
        return graph.edited(exchanged) if exchanged else b""
