"""ONNX files as messages of google.protobuf: read without their weights, or whole and edited.

Only the fields that are looked at or written here are described, with the numbers that onnx.proto
gives them; all others stay as they are. Texts are bytes, because a file's may be no UTF-8.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from scasnet_qgis.common.protobuf_wire import (
    BYTES,
    CHUNK,
    FIXED32,
    FIXED64,
    INT32,
    INT64,
    VARINT,
    Field,
    OversizeError,
    Schema,
    WireError,
    WireReader,
    message_classes,
    parse_message,
    varint,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MAX_EDITED = 250_000_000  # bytes; an edited file is in memory three times for a moment
MAX_FIELDS = 400_000  # the largest networks have a quarter; looking at more would take seconds
MAX_DIMS = 16
_MAX_COPIED = 32_000_000  # bytes of all names together
_MAX_INTEGERS = 4_000_000  # of attributes, each in eight bytes once it is parsed
_MAX_GRAPHS = 10  # graphs inside operators inside graphs
_OWN_DOMAINS = (b"", b"ai.onnx")
_SHOWN = 200  # bytes of a text
TENSOR_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
_NUMBERS = {name: number for number, name in TENSOR_TYPES.items()}
_NO_WEIGHTS = ("int32", "int64", "bool")  # shapes, axes, and sums of quantised layers
EXTERNAL = 1  # where the numbers of a tensor are in a file of their own
_INT, _INTS = 2, 7  # types of attributes

# Fields of our own, which no file may have: what is left of numbers and texts stepped over.
_SIZE, _STORED = _OURS = (1001, 1002)
_SCHEMA: Schema = {
    "Model": {
        "ir_version": (1, INT64),
        "producer_name": (2, BYTES),
        "graph": (7, "Graph"),
        "opset_import": (8, ["OperatorSet"]),
        "metadata_props": (14, ["Metadata"]),
        "functions": (25, ["Function"]),
    },
    "OperatorSet": {"domain": (1, BYTES), "version": (2, INT64)},
    "Metadata": {"key": (1, BYTES), "value_size": (_SIZE, INT64)},
    "Graph": {
        "node": (1, ["Node"]),
        "name": (2, BYTES),
        "initializer": (5, ["Tensor"]),
        "input": (11, ["ValueInfo"]),
        "output": (12, ["ValueInfo"]),
        "sparse_initializer": (15, [BYTES]),
    },
    "Function": {"name": (1, BYTES), "node": (7, ["Node"]), "domain": (10, BYTES)},
    "Node": {
        "input": (1, [BYTES]),
        "output": (2, [BYTES]),
        "op_type": (4, BYTES),
        "attribute": (5, ["Attribute"]),
        "domain": (7, BYTES),
    },
    "Attribute": {
        "name": (1, BYTES),
        "i": (3, INT64),
        "t": (5, "Tensor"),
        "g": (6, "Graph"),
        "ints": (8, [INT64]),
        "tensors": (10, ["Tensor"]),
        "graphs": (11, ["Graph"]),
        "type": (20, INT32),
        "sparse_tensor": (22, BYTES),
        "sparse_tensors": (23, [BYTES]),
    },
    "Tensor": {
        "dims": (1, [INT64]),
        "data_type": (2, INT32),
        "name": (8, BYTES),
        "raw_data": (9, BYTES),
        "external_data": (13, ["ExternalData"]),
        "data_location": (14, INT32),
        "raw_size": (_SIZE, INT64),
        "stored": (_STORED, [INT64]),
    },
    "ExternalData": {"key": (1, BYTES), "value": (2, BYTES)},
    "ValueInfo": {"name": (1, BYTES), "type": (2, "Type")},
    "Type": {"tensor_type": (1, "TensorType")},
    "TensorType": {"elem_type": (1, INT32), "shape": (2, "Shape")},
    "Shape": {"dim": (1, ["Dimension"])},
    "Dimension": {"dim_value": (1, INT64), "dim_param": (2, BYTES)},
}
_KINDS = {
    message: {number: kind for number, kind in fields.values() if number not in _OURS}
    for message, fields in _SCHEMA.items()
}
# The fields of a tensor that hold float_data, int32_data, string_data, int64_data, double_data and
# uint64_data, and the wire type of a number that is not packed.
_NUMBER_WIRES = {4: FIXED32, 5: VARINT, 6: CHUNK, 7: VARINT, 10: FIXED64, 11: VARINT}


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    return message_classes("scasnet.onnx", _SCHEMA)


def new_model(opset: int) -> Any:
    """An empty model of ONNX's own operators."""
    model = _classes()["Model"](ir_version=8)
    model.opset_import.add(version=opset)
    return model


def read_outline(path: Path) -> Any:
    """The model of a file without its weights, which are stepped over.

    A tensor has ``raw_size``, the bytes of its raw data, and ``stored``, how many numbers it holds
    otherwise; a metadata entry has ``value_size``. Raises OSError, WireError where the file is no
    ONNX model, OversizeError where it is larger than any network, DependencyError.
    """
    with path.open("rb") as file:
        return outline(file)


def outline(file: BinaryIO) -> Any:
    """The same of an open file."""
    reader = WireReader(file, MAX_FIELDS)
    if not reader.size():
        raise WireError("an empty file")
    content = _Outline(reader).message("Model", 0, reader.size())
    return parse_message(_classes()["Model"], content)


def read_model(data: bytes) -> Any:
    """The whole model of a file's bytes; raises as ``read_outline`` does."""
    outline(io.BytesIO(data))  # which bounds what is made of the bytes
    return parse_message(_classes()["Model"], data)


class _Outline:
    """Copies a message without weights, and bounds all that is copied."""

    def __init__(self, reader: WireReader) -> None:
        self._reader = reader
        self._copied = self._integers = self._graphs = 0

    def message(self, name: str, start: int, stop: int) -> bytes:
        """The fields of a message that the schema has; WireError where one is there twice."""
        self._graphs += name == "Graph"
        if self._graphs > _MAX_GRAPHS + 1:
            raise OversizeError(f"graphs nest deeper than {_MAX_GRAPHS}")
        parts: list[bytes] = []
        seen: set[int] = set()
        for part in self._reader.fields(start, stop):
            if part.number in _OURS:
                raise WireError(f"{name} has a field {part.number}")
            kind = _KINDS[name].get(part.number)
            one = kind[0] if isinstance(kind, list) else kind
            if isinstance(one, str):
                if part.wire != CHUNK or (one is kind and part.number in seen):
                    raise WireError(f"{name} has no single field {part.number}")
                seen.add(part.number)
                inner = self.message(one, part.content, part.stop)
                parts += [varint(part.number << 3 | CHUNK), varint(len(inner)), inner]
            else:
                parts.append(self._value(name, part, one))
        self._graphs -= name == "Graph"
        return b"".join(parts)

    def _value(self, message: str, part: Field, kind: int | None) -> bytes:
        """A number or a text, or what is left of it."""
        if message == "Tensor" and part.number in _NUMBER_WIRES:
            return _number(_STORED, self._stored(part))
        if (message, part.number) in (("Tensor", 9), ("Metadata", 2)):
            if part.wire != CHUNK:
                raise WireError("a number where something longer was expected")
            return _number(_SIZE, part.size)
        if kind is None:
            return b""
        if kind != BYTES:
            self._integers += self._reader.count_integers(part)
        if (message, part.number) == ("Attribute", 8):
            copied = b""
        else:
            self._copied += part.size
            copied = self._reader.message([part]) if self._copied <= _MAX_COPIED else b""
        if self._copied > _MAX_COPIED or self._integers > _MAX_INTEGERS:
            raise OversizeError("names or numbers without end")
        return copied

    def _stored(self, part: Field) -> int:
        """How many numbers or texts a field of a tensor holds."""
        wire = _NUMBER_WIRES[part.number]
        if part.wire not in (wire, CHUNK):
            raise WireError("numbers of another type than their field has")
        if wire == VARINT:
            return self._reader.count_integers(part)
        return 1 if wire == CHUNK else part.size // (4 if wire == FIXED32 else 8)


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def own_versions(model: Any) -> list[int]:
    """The versions of ONNX's own operators that a model states; usually one."""
    return [opset.version for opset in model.opset_import if opset.domain in _OWN_DOMAINS]


def is_own(domain: bytes) -> bool:
    """Whether a domain is that of ONNX's own operators."""
    return domain in _OWN_DOMAINS


def shown(text: bytes, most: int = _SHOWN) -> str:
    """The beginning of a text of a file."""
    return text[:most].decode("utf-8", "replace")


def add_node(
    graph: Any, operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]
) -> None:
    """Put an operator at the end of a graph."""
    node = graph.node.add(op_type=operator.encode(), output=[output.encode()])
    node.input.extend(name.encode() for name in inputs)
    for name, value in attributes.items():
        if isinstance(value, int):
            node.attribute.add(name=name.encode(), i=value, type=_INT)
        else:
            node.attribute.add(name=name.encode(), ints=value, type=_INTS)


def add_tensor(graph: Any, name: str, value: ArrayLike, dtype: str) -> None:
    """Add weights to a graph."""
    array = np.asarray(value, dtype=np.dtype(dtype).newbyteorder("<"))
    graph.initializer.add(
        name=name.encode(), data_type=tensor_type(dtype), dims=array.shape, raw_data=array.tobytes()
    )


def add_value(values: Any, name: str, dtype: str, shape: Iterable[int | None]) -> None:
    """Add an input or an output, of sizes that may vary where they are None."""
    tensor = values.add(name=name.encode()).type.tensor_type
    tensor.elem_type = tensor_type(dtype)
    tensor.shape.SetInParent()
    for size in shape:
        dimension = tensor.shape.dim.add()
        if size is not None:
            dimension.dim_value = size


def tensor_type(dtype: str) -> int:
    """ONNX's number of a type of numpy's; raises ValueError for one that it has not."""
    if dtype not in _NUMBERS:
        raise ValueError(f"no tensors of {dtype}")
    return _NUMBERS[dtype]


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
        weights = {kind: count for kind, count in self.numbers.items() if kind not in _NO_WEIGHTS}
        return max(weights, key=lambda kind: weights[kind]) if weights else ""

    @property
    def weights(self) -> int:
        """How many weights there are."""
        return sum(count for kind, count in self.numbers.items() if kind not in _NO_WEIGHTS)


def contents(path: Path) -> OnnxContents:
    """Look through an ONNX file. Raises ValueError where it is none, OSError if it is not there."""
    model = read_outline(path)
    numbers: Counter[str] = Counter()
    tensors = list(model.graph.initializer)
    for node in model.graph.node:  # some exporters keep weights in Constant nodes
        tensors += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    for tensor in tensors:
        if len(tensor.dims) > MAX_DIMS:
            raise ValueError("a tensor of too many dimensions")
        kind = TENSOR_TYPES.get(tensor.data_type, f"type {tensor.data_type}")
        numbers[kind] += math.prod(tensor.dims)
    keys = tuple(shown(entry.key) for entry in model.metadata_props)
    opset = next(reversed(own_versions(model)), None) or None
    return OnnxContents(shown(model.producer_name), opset, keys, dict(numbers))
