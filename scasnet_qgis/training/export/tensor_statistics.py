"""What goes through a graph: figures about its tensors, tile by tile."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

CHANNEL_MEAN, SMALLEST, LARGEST = "GlobalAveragePool", "ReduceMin", "ReduceMax"


def observe(
    model: ModelProto,
    wanted: Sequence[tuple[str, str]],
    tiles: Iterable[NDArray[np.float32]],
    input_name: str,
) -> Iterator[list[NDArray[np.float32]]]:
    """For each of ``tiles`` [1, bands, rows, cols] the figures that are wanted.

    ``wanted`` are pairs of an operator (CHANNEL_MEAN, SMALLEST, LARGEST) and the name of a tensor.
    Only the figures leave the graph, so that memory does not grow with the tiles.
    """
    watched = copy.deepcopy(model)
    graph = watched.graph
    del graph.output[:]
    for index, (operator, tensor) in enumerate(wanted):
        name = f"observed_{index}"
        options: dict[str, Any] = {} if operator == CHANNEL_MEAN else {"keepdims": 0}
        graph.node.append(helper.make_node(operator, [tensor], [name], **options))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    for tile in tiles:
        yield session.run(None, {input_name: tile})
