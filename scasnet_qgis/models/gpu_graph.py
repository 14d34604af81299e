"""A model's graph with raw pixels going in and 8-bit scores or labels coming out, edited in memory.

Four to sixteen times less crosses between the processor and a graphics card than with single
precision, and scaling, activation and rounding happen where the network is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scasnet_qgis.models.activations import (
    Activation,
    identity,
    normalise,
    softmax,
    two_classes,
    two_classes_from_logits,
)
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.models.onnx_proto import (
    MAX_EDITED,
    add_node,
    add_tensor,
    add_value,
    own_versions,
    read_model,
    tensor_type,
)

RAW_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
FULL = 255  # what a score of 1 becomes
_LEAST_OPSET = 11  # the first in which Clip and Round are as they are used here


@dataclass(frozen=True)
class RawInput:
    """Pixels as a raster holds them: numpy's name of their type, and what becomes 0 and 1 by band.

    Values beyond ``low`` and ``high`` are clipped, as by ``core.preprocessing.Scaling``.
    """

    dtype: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class GpuGraph:
    """The bytes of an ONNX file, the type of its input, and the names of what goes in and out.

    ``scores_name`` are uint8 [N, channels, rows, cols]: scores of the classes, or in one channel
    labels, 1 for the first class; ``total_name`` is the sum of the probabilities before they were
    rounded, [1, 1, 1, 1], which is no number where one of them is none.
    """

    content: bytes
    input_type: str
    input_name: str
    scores_name: str
    total_name: str
    channels: int


def gpu_graph(
    info: ModelInfo, raw: RawInput | None, activation: Activation, labels: bool = False
) -> GpuGraph:
    """The model of a file with ``activation`` behind it; without ``raw`` it takes 0-1 as before.

    It gives scores, or ``labels``.

    Raises ValueError where the model or the pixels are of a kind this cannot be done for, or where
    the file has more than MAX_EDITED bytes; OSError where it cannot be read.
    """
    if raw is not None and (raw.dtype not in RAW_TYPES or len(raw.low) != info.bands):
        raise ValueError(f"{len(raw.low)} band(s) of {raw.dtype}")
    size = info.path.stat().st_size
    if size > MAX_EDITED:
        raise ValueError(f"{size / 1e6:.0f} MB")
    model = read_model(info.path.read_bytes())
    editing = _Editing(model, info)
    names = editing.surround(raw, activation, labels)
    input_type = "float32" if raw is None else raw.dtype
    channels = 1 if labels else info.classes
    return GpuGraph(bytes(model.SerializeToString()), input_type, *names, channels)


class _Editing:
    """Puts nodes before and behind those of a graph."""

    def __init__(self, model: Any, info: ModelInfo) -> None:
        versions = own_versions(model)
        if not versions or versions[0] < _LEAST_OPSET:
            raise ValueError(f"operator set {versions}")
        self._graph, self._info = model.graph, info
        self._opset = versions[0]
        self._prefix = "scasnet_"
        taken = [name for node in model.graph.node for name in (*node.input, *node.output)]
        while any(name.startswith(self._prefix.encode()) for name in taken):
            self._prefix += "_"

    def surround(
        self, raw: RawInput | None, activation: Activation, labels: bool
    ) -> tuple[str, str, str]:
        """Give the graph its new input and outputs; returns their names."""
        graph, name = self._graph, self._info.input_name.encode()
        image = next(value for value in graph.input if value.name == name)
        pixels = f"{self._prefix}pixels"
        image.name = pixels.encode()
        image.type.tensor_type.elem_type = tensor_type("float32" if raw is None else raw.dtype)
        network = list(graph.node)
        del graph.node[:]
        self._before(pixels, raw)
        graph.node.extend(network)
        probabilities = self._behind(activation)
        total = self._add("ReduceSum", probabilities, keepdims=1)
        scores = self._labels(probabilities) if labels else self._rounded(probabilities)
        del graph.output[:]
        channels = 1 if labels else self._info.classes
        add_value(graph.output, scores, "uint8", (None, channels, None, None))
        add_value(graph.output, total, "float32", (1, 1, 1, 1))
        return pixels, scores, total

    def _before(self, last: str, raw: RawInput | None) -> None:
        """From pixels to what the model called its input."""
        if raw is not None:
            low = np.asarray(raw.low, dtype=np.float32)
            span = np.asarray(raw.high, dtype=np.float32) - low
            last = self._cast(last, "float32")
            last = self._by_band("Sub", last, low)
            last = self._by_band("Mul", last, np.float32(1) / np.where(span > 0, span, 1))
            last = self._clip(last, 1.0)
        card = self._info.card
        if card.standardise:
            last = self._by_band("Sub", last, card.mean)
            last = self._by_band("Div", last, card.std)
        last = self._cast(last, self._info.input_type)
        self._add("Identity", last, output=self._info.input_name)

    def _behind(self, activation: Activation) -> str:
        """From the model's output to probabilities that add up to 1; as in ``models.scores``."""
        last = self._cast(self._info.output_name, "float32")
        if activation is identity:
            return last
        if activation is normalise:
            axes = [1]
            if self._opset < 13:
                total = self._add("ReduceSum", last, keepdims=1, axes=axes)
            else:
                total = self._add("ReduceSum", last, self._constant(axes, "int64"), keepdims=1)
            return self._add("Div", last, total)
        if activation is softmax:
            if self._opset >= 13:
                return self._add("Softmax", last, axis=1)
            # Before, Softmax took all axes from the given one on together.
            last = self._add("Transpose", last, perm=[0, 2, 3, 1])
            return self._add("Transpose", self._add("Softmax", last, axis=3), perm=[0, 3, 1, 2])
        if activation is two_classes_from_logits:
            last = self._add("Sigmoid", last)
        elif activation is not two_classes:
            raise ValueError(f"activation {activation}")
        share = self._clip(last, 1.0)
        rest = self._add("Sub", self._constant([1.0]), share)
        return self._add("Concat", rest, share, axis=1)

    def _rounded(self, probabilities: str) -> str:
        scaled = self._add("Round", self._add("Mul", probabilities, self._constant([FULL])))
        return self._cast(self._clip(scaled, float(FULL)), "uint8")

    def _labels(self, probabilities: str) -> str:
        """One more than the index of the highest, the first of equals."""
        index = self._add("ArgMax", probabilities, axis=1, keepdims=1)
        return self._cast(self._add("Add", index, self._constant([1], "int64")), "uint8")

    def _clip(self, last: str, high: float) -> str:
        return self._add("Clip", last, self._constant(0.0), self._constant(high))

    def _by_band(self, kind: str, last: str, values: Sequence[float] | Any) -> str:
        return self._add(kind, last, self._constant(np.reshape(values, (1, -1, 1, 1))))

    def _cast(self, last: str, dtype: str) -> str:
        return self._add("Cast", last, to=tensor_type(dtype))

    def _constant(self, value: Any, dtype: str = "float32") -> str:
        name = f"{self._prefix}constant_{len(self._graph.initializer)}"
        add_tensor(self._graph, name, value, dtype)
        return name

    def _add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node; returns the name of its output."""
        output = output or f"{self._prefix}{kind}_{len(self._graph.node)}_{inputs[0]}"[:200]
        add_node(self._graph, kind, inputs, output, **attributes)
        return output
