"""A graph in half precision, or with convolutions in 8 bit that are calibrated on real tiles."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.training.export.onnx_graph import CHANNEL_MEAN, LARGEST, SMALLEST, observe

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


# A convolution and its activation become one step, so that the 8 bits span what the activation
# lets through; without this the labels that agree with fp32 fell from 98.7 % to 39 %.
_OPERATORS = ["Conv", "Relu", "Clip"]
_FEW = 4  # convolutions; a network of fewer has no inner ones worth the name


class _Tiles(CalibrationDataReader):
    def __init__(self, tiles: Iterable[NDArray[np.float32]], input_name: str) -> None:
        self._tiles: Iterator[NDArray[np.float32]] = iter(tiles)
        self._input_name = input_name

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tile = next(self._tiles, None)
        return None if tile is None else {self._input_name: tile}


def to_int8(model: ModelProto, tiles: Iterable[NDArray[np.float32]], input_name: str) -> ModelProto:
    """``model`` with its inner convolutions in 8 bit; ``tiles`` is gone through twice.

    Activations are unsigned and have one scale, weights are signed and have one for each output
    channel. The weights use 7 bits: two products of 8 x 8 bits do not fit into the 16 bits in
    which a processor with AVX2 but without VNNI adds them, and 3.7 % of the labels were wrong on
    such a one. The first convolution sees the image and the last one gives the class scores: both
    stay in single precision. Ranges are smallest and largest values, which need no histograms in
    memory and were as good.
    """
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    if not names:
        raise ModelError(
            translate("ScasNet", "The model has no convolutions, which int8 is for: choose fp16.")
        )
    spared = [names[0], names[-1]] if len(names) >= _FEW else []
    with tempfile.TemporaryDirectory(prefix="scasnet-int8-") as folder:
        # It leaves a file beside the one it reads, hence a folder of its own.
        before, after = Path(folder) / "single.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(before))
        settings: dict[str, Any] = {
            "quant_format": QuantFormat.QDQ,
            "op_types_to_quantize": _OPERATORS,
            "activation_type": QuantType.QUInt8,
            "weight_type": QuantType.QInt8,
            "per_channel": True,
            "reduce_range": True,
            "nodes_to_exclude": spared,
            "calibrate_method": CalibrationMethod.MinMax,
        }
        quantize_static(str(before), str(after), _Tiles(tiles, input_name), **settings)
        quantised = onnx.load(str(after))
    correct_biases(quantised, model, tiles, input_name)
    return quantised


_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class _Layer:
    """A convolution before and after, and the stored bias of the latter."""

    single: NodeProto
    weights: NDArray[np.float64]  # as they are in 8 bit
    bias: TensorProto
    scale: NDArray[np.float64]  # of the bias


def correct_biases(
    quantised: ModelProto, single: ModelProto, tiles: Iterable[NDArray[np.float32]], input_name: str
) -> None:
    """Shift the biases of ``quantised`` by what its rounded weights add on average.

    Weights w + e give e * x more than w; over real tiles that has a mean, which is known from the
    mean of x (Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias
    Correction, section 4.2). On the shipped model a quarter of the labels that rounding changed
    came back, at no cost when mapping.
    """
    layers = _layers(quantised, single)
    inputs = list(dict.fromkeys(layer.single.input[0] for layer in layers))
    wanted = [(CHANNEL_MEAN, name) for name in inputs]
    sums = [np.zeros(1)] * len(inputs)
    count = 0
    for figures in observe(single, wanted, tiles, input_name):
        sums = [total + mean[0, :, 0, 0].astype(np.float64) for total, mean in zip(sums, figures)]
        count += 1
    means = {name: total / max(count, 1) for name, total in zip(inputs, sums)}
    constants = {tensor.name: tensor for tensor in single.graph.initializer}
    for layer in layers:
        exact = numpy_helper.to_array(constants[layer.single.input[1]])
        added = _mean_response(layer.weights - exact, means[layer.single.input[0]])
        stored = numpy_helper.to_array(layer.bias) - np.round(added / layer.scale)
        values = stored.clip(-_LIMIT, _LIMIT).astype(np.int32)
        layer.bias.CopyFrom(numpy_helper.from_array(values, layer.bias.name))


def _mean_response(kernels: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """What kernels [out, in / groups, rows, cols] give on average for the means of the inputs."""
    groups = len(means) // kernels.shape[1]
    seen = means.reshape(groups, -1).repeat(len(kernels) // groups, axis=0)
    return np.asarray((kernels.sum(axis=(2, 3)) * seen).sum(axis=1))


def _layers(quantised: ModelProto, single: ModelProto) -> list[_Layer]:
    """The convolutions in 8 bit that have a bias."""
    constants = {tensor.name: tensor for tensor in quantised.graph.initializer}
    restored = {
        node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"
    }
    before = {node.name: node for node in single.graph.node}
    found = []
    for node in quantised.graph.node:
        if node.op_type != "Conv" or len(node.input) < 3:
            continue
        weight, bias = (restored.get(name) for name in node.input[1:3])
        if weight is not None and bias is not None:
            scale = numpy_helper.to_array(constants[weight.input[1]]).astype(np.float64)
            kernels = numpy_helper.to_array(constants[weight.input[0]]).astype(np.float64)
            found.append(
                _Layer(
                    before[node.name],
                    kernels * scale.reshape(-1, 1, 1, 1),
                    constants[bias.input[0]],
                    numpy_helper.to_array(constants[bias.input[1]]).astype(np.float64),
                )
            )
    return found
