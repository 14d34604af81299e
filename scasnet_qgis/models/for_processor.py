"""A model's graph as ONNX Runtime computes it fastest on a processor, edited in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scasnet_qgis.models.dilated import Cut, cut_dilated
from scasnet_qgis.models.onnx_graph import opened_graph
from scasnet_qgis.models.open_end import without_softmax

STRIDE = 8  # pixels to a column where the networks of this project look far
_LEAST_OPSET = 13  # of the operators that are put in


@dataclass(frozen=True)
class ProcessorModel:
    """The bytes of an ONNX file, empty where it stays as it is.

    ``open_end``: its scores come as the softmax at its end would get them. ``wide``: it only takes
    tiles as wide as it was made for, and wider ones.
    """

    content: bytes = b""
    open_end: bool = False
    wide: bool = False


def for_processor(path: Path, columns: int = 0, keep_end: bool = False) -> ProcessorModel:
    """The model of a file, changed where that is faster.

    ``columns`` are the pixels across the narrowest tile; 0 where the network is not one of this
    project's. With ``keep_end`` the softmax stays.
    Nothing is changed where that cannot be done for sure: with weights in files of their own, or
    graphs inside of operators. Raises ValueError for what is no ONNX file, OSError where it cannot
    be read.
    """
    with opened_graph(path) as graph:
        if graph is None or not graph.simple or graph.opset < _LEAST_OPSET:
            return ProcessorModel()
        end = {} if keep_end else without_softmax(graph)
        cut = cut_dilated(graph, columns // STRIDE) if columns else Cut({}, [])
        if not end and not cut.exchanged:
            return ProcessorModel()
        content = graph.edited({**end, **cut.exchanged}, cut.tensors)
    return ProcessorModel(content, bool(content and end), bool(content and cut.exchanged))
