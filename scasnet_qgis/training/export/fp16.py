"""A graph in half precision: weights and computing, the image and the probabilities aside."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.training.export.onnx_graph import LARGEST, SMALLEST, observe

# Cheap steps whose rounding would show: the normalisation of the image, and what makes
# probabilities of the class scores.
_KEPT = ("Sub", "Div", "Resize", "Softmax", "Sigmoid")
_WEIGHTY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
LARGEST_SAFE = 32_000.0  # half of what half precision can hold: other images give larger values


def to_half(model: ModelProto, tiles: Iterable[NDArray[np.float32]], input_name: str) -> ModelProto:
    """``model`` with weights and computing in half precision, input and output in single.

    Raises ModelError where its layers give values on ``tiles`` that half precision cannot hold: a
    processor, which computes such a graph in single precision, would not show it.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    _check_range(model, tiles, input_name)
    kept = [*DEFAULT_OP_BLOCK_LIST, *_KEPT]
    halved = convert_float_to_float16(model, keep_io_types=True, op_block_list=kept)
    _drop_round_trips(halved)
    ordered = ONNXModel(halved)
    ordered.topological_sort()
    return ordered.model


def _check_range(model: ModelProto, tiles: Iterable[NDArray[np.float32]], input_name: str) -> None:
    names = [node.output[0] for node in model.graph.node if node.op_type in _WEIGHTY]
    wanted = [(kind, name) for name in names for kind in (SMALLEST, LARGEST)]
    for figures in observe(model, wanted, tiles, input_name):
        largest = float(np.max(np.abs(figures))) if figures else 0.0
        if not largest <= LARGEST_SAFE:
            text = translate(
                "ScasNet",
                "Values of the network reach {value:.3g}, too large for half precision: choose "
                "fp32 or int8.",
            )
            raise ModelError(text, value=largest)


def _drop_round_trips(model: ModelProto) -> None:
    """Take out casts to half that are followed by one straight back: they only round."""
    graph = model.graph
    kinds = _kinds(model)
    casts = {node.output[0]: node for node in graph.node if _casts_to(node, TensorProto.FLOAT16)}
    results = {output.name for output in graph.output}
    other_name: dict[str, str] = {}
    kept = []
    for node in graph.node:
        there = casts.get(node.input[0]) if _casts_to(node, TensorProto.FLOAT) else None
        if there is None or kinds.get(there.input[0]) != TensorProto.FLOAT:
            kept.append(node)
        elif node.output[0] in results:
            other_name[there.input[0]] = node.output[0]
        else:
            other_name[node.output[0]] = there.input[0]
    for node in kept:
        for names in (node.input, node.output):
            names[:] = [_final(name, other_name) for name in names]
    read = {name for node in kept for name in node.input} | results
    _replace(graph, [node for node in kept if node.op_type != "Cast" or node.output[0] in read])


def _kinds(model: ModelProto) -> dict[str, int]:
    """The types of the tensors, by name."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _casts_to(node: NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(
        attribute.name == "to" and attribute.i == kind for attribute in node.attribute
    )


def _final(name: str, other_name: dict[str, str]) -> str:
    while name in other_name:
        name = other_name[name]
    return name


def _replace(graph: GraphProto, nodes: list[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
