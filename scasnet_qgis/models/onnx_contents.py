"""What an ONNX file holds beside its graph, read without loading it.

An ONNX file is a protobuf message. Only the headers of its fields are looked at here, so that the
package onnx is not needed and a large file costs no memory. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MOST_FIELDS = 2_000_000  # a file with more is no network; looking at them would take minutes
_MOST_DIMS, _MOST_LETTERS = 16, 200
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
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
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Skimmer(data).model()


class _Skimmer:
    """Walks through the fields of messages; a span is where one begins and ends in the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._left = _MOST_FIELDS

    def model(self) -> OnnxContents:
        producer, opset, keys = "", None, []
        numbers: Counter[str] = Counter()
        for number, value in self._fields(0, len(self._data)):
            if number == _MODEL_PRODUCER:
                producer = self._text(value)
            elif number == _MODEL_OPSET:
                opset = self._opset(value) or opset
            elif number == _MODEL_METADATA:
                keys += [self._text(each) for at, each in self._inside(value) if at == 1]
            elif number == _MODEL_GRAPH:
                numbers += self._graph(value)
        return OnnxContents(producer, opset, tuple(keys), dict(numbers))

    def _opset(self, value: int | slice) -> int | None:
        """The version of ONNX's own operators; those of others have a domain."""
        parts = dict(self._inside(value))
        domain = parts.get(1)
        version = parts.get(2)
        own = domain is None or not self._text(domain)
        return version if own and isinstance(version, int) else None

    def _graph(self, value: int | slice) -> Counter[str]:
        numbers: Counter[str] = Counter()
        for number, part in self._inside(value):
            if number == _GRAPH_INITIALISER:
                numbers += self._tensor(part)
            elif number == _GRAPH_NODE:  # some exporters keep weights in Constant nodes
                for at, attribute in self._inside(part):
                    if at == _NODE_ATTRIBUTE:
                        for kind, tensor in self._inside(attribute):
                            if kind == _ATTRIBUTE_TENSOR:
                                numbers += self._tensor(tensor)
        return numbers

    def _tensor(self, value: int | slice) -> Counter[str]:
        dims, kind = [], 0
        for number, part in self._inside(value):
            if number == _TENSOR_TYPE and isinstance(part, int):
                kind = part
            elif number == _TENSOR_DIMS and isinstance(part, int):
                dims.append(part)
            elif number == _TENSOR_DIMS and isinstance(part, slice):
                place = part.start
                while place < part.stop:
                    dim, place = self._varint(place, part.stop)
                    dims.append(dim)
        if len(dims) > _MOST_DIMS:
            raise ValueError("a tensor of too many dimensions")
        return Counter({_TYPES.get(kind, f"type {kind}"): math.prod(dims)})

    def _text(self, value: int | slice) -> str:
        if not isinstance(value, slice):
            raise ValueError("a number where a text was expected")
        return self._data[value][:_MOST_LETTERS].decode("utf-8", "replace")

    def _inside(self, value: int | slice) -> Iterator[tuple[int, int | slice]]:
        if not isinstance(value, slice):
            raise ValueError("a number where a message was expected")
        return self._fields(value.start, value.stop)

    def _fields(self, place: int, end: int) -> Iterator[tuple[int, int | slice]]:
        """Number and value of each field: a whole number, or the span of anything longer."""
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many fields")
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            if wire == _VARINT:
                value, place = self._varint(place, end)
                yield number, value
                continue
            if wire == _BYTES:
                length, place = self._varint(place, end)
            elif wire in (_FIXED32, _FIXED64):
                length = 4 if wire == _FIXED32 else 8
            else:
                raise ValueError(f"no such type of field: {wire}")
            if length > end - place:
                raise ValueError("a field goes beyond its message")
            yield number, slice(place, place + length)
            place += length

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """A whole number in groups of seven bits, the lowest first, and where it ends."""
        result = 0
        for shift in range(0, 70, 7):
            if place >= end:
                break
            byte = self._data[place]
            place += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result, place
        raise ValueError("a number that does not end")
