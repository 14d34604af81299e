"""Biases that make up for what rounding does to the mean of each channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from scasnet_qgis.training.observation import CHANNEL_MEAN, observe

_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class _Layer:
    """A convolution before and after, and the stored bias of the latter."""

    single: NodeProto
    weights: NDArray[np.float64]  # as they are in 8 bit
    bias: TensorProto
    scale: NDArray[np.float64]  # of the bias


def correct_biases(
    quantised: ModelProto,
    single: ModelProto,
    tiles: Iterable[NDArray[np.float32]],
    input_name: str,
) -> None:
    """Shift the biases of ``quantised`` by what its rounded weights add on average.

    Weights w + e give e * x more than w; over real tiles that has a mean, which is known from the
    mean of x (Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias
    Correction, section 4.2). On the shipped model a quarter of the labels that rounding changed
    came back, at no cost when mapping.
    """
    layers = _layers(quantised, single)
    inputs = list(dict.fromkeys(each.single.input[0] for each in layers))
    wanted = [(CHANNEL_MEAN, name) for name in inputs]
    sums = [np.zeros(1)] * len(inputs)
    count = 0
    for figures in observe(single, wanted, tiles, input_name):
        sums = [total + each[0, :, 0, 0].astype(np.float64) for total, each in zip(sums, figures)]
        count += 1
    means = {name: total / max(count, 1) for name, total in zip(inputs, sums)}
    constants = {each.name: each for each in single.graph.initializer}
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
    constants = {each.name: each for each in quantised.graph.initializer}
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
