"""What an ONNX file holds beside its graph, read without loading it.

Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scasnet_qgis.models.onnx_wire import Value, Wire, opened

_MOST_DIMS, _MOST_LETTERS = 16, 200
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
_NO_WEIGHTS = ("int32", "int64", "bool")  # shapes, axes, and sums of quantised layers
_MODEL_PRODUCER, _MODEL_GRAPH, _MODEL_OPSET, _MODEL_METADATA = 2, 7, 8, 14
_GRAPH_NODE, _GRAPH_INITIALISER = 1, 5
_NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR = 5, 5
_TENSOR_DIMS, _TENSOR_TYPE = 1, 2


@dataclass(frozen=True)
class OnnxContents:
    """``numbers``: how many numbers of each type are stored; ``keys`` of the metadata, in order."""

    producer: str = ""
    opset: int | None = None
    keys: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """The type that most weights are stored in; empty where there are none."""
        weights = {key: each for key, each in self.numbers.items() if key not in _NO_WEIGHTS}
        return max(weights, key=lambda key: weights[key]) if weights else ""

    @property
    def weights(self) -> int:
        """How many weights there are."""
        return sum(each for key, each in self.numbers.items() if key not in _NO_WEIGHTS)


def contents(path: Path) -> OnnxContents:
    """Look through an ONNX file. Raises ValueError where it is none, OSError if it is not there."""
    with opened(path) as wire:
        return _Skimmer(wire).model()


class _Skimmer:
    """Walks through the messages of a file that hold what is wanted."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def model(self) -> OnnxContents:
        producer, opset, keys = "", None, []
        numbers: Counter[str] = Counter()
        for number, value in self._wire.all():
            if number == _MODEL_PRODUCER:
                producer = self._wire.text(value, _MOST_LETTERS)
            elif number == _MODEL_OPSET:
                opset = self._opset(value) or opset
            elif number == _MODEL_METADATA:
                keys += [
                    self._wire.text(each, _MOST_LETTERS)
                    for at, each in self._wire.inside(value)
                    if at == 1
                ]
            elif number == _MODEL_GRAPH:
                numbers += self._graph(value)
        return OnnxContents(producer, opset, tuple(keys), dict(numbers))

    def _opset(self, value: Value) -> int | None:
        """The version of ONNX's own operators; those of others have a domain."""
        parts = dict(self._wire.inside(value))
        domain = parts.get(1)
        version = parts.get(2)
        own = domain is None or not self._wire.text(domain, _MOST_LETTERS)
        return version if own and isinstance(version, int) else None

    def _graph(self, value: Value) -> Counter[str]:
        numbers: Counter[str] = Counter()
        for number, part in self._wire.inside(value):
            if number == _GRAPH_INITIALISER:
                numbers += self._tensor(part)
            elif number == _GRAPH_NODE:  # some exporters keep weights in Constant nodes
                for at, attribute in self._wire.inside(part):
                    if at == _NODE_ATTRIBUTE:
                        for kind, tensor in self._wire.inside(attribute):
                            if kind == _ATTRIBUTE_TENSOR:
                                numbers += self._tensor(tensor)
        return numbers

    def _tensor(self, value: Value) -> Counter[str]:
        dims, kind = [], 0
        for number, part in self._wire.inside(value):
            if number == _TENSOR_TYPE and isinstance(part, int):
                kind = part
            elif number == _TENSOR_DIMS:
                dims += self._wire.numbers(part)
        if len(dims) > _MOST_DIMS:
            raise ValueError("a tensor of too many dimensions")
        return Counter({_TYPES.get(kind, f"type {kind}"): math.prod(dims)})
