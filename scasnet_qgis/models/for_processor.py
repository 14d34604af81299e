"""A model's graph as ONNX Runtime computes it fastest on a processor, edited in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scasnet_qgis.core.windows import SIZE_STEP
from scasnet_qgis.models.dilated import cut_dilated
from scasnet_qgis.models.graph_bytes import opened_graph
from scasnet_qgis.models.open_end import without_softmax

_LEAST_OPSET = 13  # before, a softmax took all axes from the given one on together


@dataclass(frozen=True)
class ProcessorModel:
    """The bytes of an ONNX file, empty where it stays as it is.

    ``open_end``: its scores come as the softmax at its end would get them. ``cut``: its dilated
    convolutions are cut, so that it only takes tiles as wide as it was made for, and wider ones.
    """

    content: bytes = b""
    open_end: bool = False
    cut: bool = False


def for_processor(path: Path, least_width: int = 0, keep_end: bool = False) -> ProcessorModel:
    """The model of a file, changed where that is faster.

    ``least_width`` are the pixels across the narrowest tile, of a network that looks far aside
    where SIZE_STEP of them are one column, as ScasNet does; 0 where that is not so. With
    ``keep_end`` the softmax stays.
    Nothing is changed where that cannot be done for sure: with weights in files of their own, or
    graphs inside of operators. Raises ValueError for what is no ONNX file, OSError where it cannot
    be read.
    """
    with opened_graph(path) as graph:
        if graph is None or not graph.simple or graph.opset < _LEAST_OPSET:
            return ProcessorModel()
        end = {} if keep_end else without_softmax(graph)
        cut = cut_dilated(graph, least_width // SIZE_STEP)
        if cut.exchanged:
            content = graph.edited({**end, **cut.exchanged}, cut.tensors)
            if content:
                return ProcessorModel(content, bool(end), cut=True)
        content = graph.edited(end) if end else b""
        return ProcessorModel(content, open_end=bool(content))
