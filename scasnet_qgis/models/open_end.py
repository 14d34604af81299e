"""A model's graph without the softmax it ends with, edited as bytes.

Across the planes of class scores ONNX Runtime's softmax is slow on a processor; numpy's, some rows
at a time, is not (benchmarks/softmax.py). No package is needed: one node becomes
an Identity in the bytes of the file. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from scasnet_qgis.models.onnx_wire import Value, Wire

_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_NODE, _INITIALISER, _OUTPUT = 1, 5, 12
_INPUTS, _OUTPUTS, _OPERATOR, _ATTRIBUTE, _DOMAIN, _SUBGRAPHS = 1, 2, 4, 5, 7, (6, 11)
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR, _TENSOR_PLACE = 1, 3, 5, 14
_LEAST_OPSET = 13  # before, a softmax took all axes from the given one on together
_HANDING_ON, _MOST_HANDING_ON = (b"Cast", b"Identity"), 8
_CLASSES = (1, -3)  # the axis of [N, classes, rows, cols]
_MOST_LETTERS = 1_000


def without_softmax(path: Path) -> bytes:
    """The bytes of a model file whose scores come as the softmax at its end would get them.

    Empty where it does not end with a softmax over the classes, or where it cannot be changed for
    sure: with weights in files of their own, or graphs inside of operators. Raises ValueError for
    what is no ONNX file, OSError where it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        wire = Wire(data)
        parts = _parts(wire)
        if parts is None:
            return b""
        graph, node = parts
        identity = b"".join(_kept(wire, data, node)) + _field(_OPERATOR, b"Identity")
        before, after = _around(data, _NODE, node)
        start, end = _around(data, _MODEL_GRAPH, graph)
        if before < 0 or start < 0:
            return b""
        changed = [data[graph.start : before], _field(_NODE, identity), data[after : graph.stop]]
        size = sum(map(len, changed))
        head = _key(_MODEL_GRAPH) + _varint(size)
        return b"".join([data[:start], head, *changed, data[end:]])


@dataclass(frozen=True)
class _Node:
    """A softmax over the classes, or a node that hands on what goes in."""

    place: slice
    takes: bytes
    is_softmax: bool


@dataclass
class _Graph:
    """What is looked at: nodes by what they give, and how often each tensor goes into a node."""

    nodes: dict[bytes, _Node] = field(default_factory=dict)
    uses: Counter[bytes] = field(default_factory=Counter)
    outputs: list[bytes] = field(default_factory=list)
    simple: bool = True

    def last_softmax(self) -> slice | None:
        """The one that the first output of the graph comes from and nothing else."""
        if not self.simple or not self.outputs:
            return None
        name = self.outputs[0]
        for _ in range(_MOST_HANDING_ON):
            node = self.nodes.get(name)
            if node is None or self.uses[name] + self.outputs.count(name) > 1:
                return None
            if node.is_softmax:
                return node.place
            name = node.takes
        return None


def _parts(wire: Wire) -> tuple[slice, slice] | None:
    """Where the graph lies, and in it the softmax at its end; None where there is none."""
    graph: slice | None = None
    opset = 0
    for number, value in wire.all():
        if number == _MODEL_GRAPH and isinstance(value, slice):
            graph = value
        elif number == _MODEL_OPSET:
            opset = max(opset, _own_opset(wire, value))
    if graph is None or opset < _LEAST_OPSET:
        return None
    node = _look(wire, graph).last_softmax()
    return None if node is None else (graph, node)


def _own_opset(wire: Wire, value: Value) -> int:
    """The version of ONNX's own operators; 0 for those of others, which have a domain."""
    parts = dict(wire.inside(value))
    version = parts.get(2)
    other = 1 in parts and wire.text(parts[1], _MOST_LETTERS) not in ("", "ai.onnx")
    return version if isinstance(version, int) and not other else 0


def _look(wire: Wire, graph: slice) -> _Graph:
    found = _Graph()
    for number, value in wire.inside(graph):
        if number == _NODE:
            _look_at_node(wire, value, found)
        elif number == _OUTPUT:
            found.outputs += [wire.name(each) for at, each in wire.inside(value) if at == 1]
        elif number == _INITIALISER:
            found.simple = found.simple and not _lies_outside(wire, value)
    return found


def _lies_outside(wire: Wire, tensor: Value) -> bool:
    """Whether a tensor's numbers are in a file of their own."""
    return any(at == _TENSOR_PLACE and each for at, each in wire.inside(tensor))


def _look_at_node(wire: Wire, node: Value, found: _Graph) -> None:
    texts: dict[int, bytes] = {}
    axis = -1
    for number, part in wire.inside(node):
        if number == _INPUTS:
            texts[_INPUTS] = wire.name(part)
            found.uses[texts[_INPUTS]] += 1
        elif number in (_OUTPUTS, _OPERATOR, _DOMAIN):
            texts[number] = wire.name(part)
        elif number == _ATTRIBUTE:
            axis = _look_at_attribute(wire, part, found, axis)
    if not isinstance(node, slice) or texts.get(_DOMAIN, b"") not in (b"", b"ai.onnx"):
        return
    operator = texts.get(_OPERATOR, b"")
    softmax = operator == b"Softmax" and axis in _CLASSES
    if softmax or operator in _HANDING_ON:
        entry = _Node(node, texts.get(_INPUTS, b""), softmax)
        found.nodes[texts.get(_OUTPUTS, b"")] = entry


def _look_at_attribute(wire: Wire, attribute: Value, found: _Graph, axis: int) -> int:
    """The axis, as it was if this attribute says nothing of it."""
    fields = dict(wire.inside(attribute))
    if any(each in fields for each in _SUBGRAPHS):
        found.simple = False
    if _ATTRIBUTE_TENSOR in fields and _lies_outside(wire, fields[_ATTRIBUTE_TENSOR]):
        found.simple = False
    name = fields.get(_ATTRIBUTE_NAME)
    if name is None or _ATTRIBUTE_INTEGER not in fields or wire.text(name, 9) != "axis":
        return axis
    return wire.numbers(fields[_ATTRIBUTE_INTEGER])[0]


def _kept(wire: Wire, data: mmap.mmap, node: slice) -> list[bytes]:
    """The fields of a node that say what goes in and comes out."""
    return [
        _field(number, bytes(data[value]))
        for number, value in wire.inside(node)
        if number in (_INPUTS, _OUTPUTS) and isinstance(value, slice)
    ]


def _around(data: mmap.mmap, number: int, content: slice) -> tuple[int, int]:
    """Where a field with this content begins and ends; -1 where it is written in an odd way."""
    head = _key(number) + _varint(content.stop - content.start)
    start = content.start - len(head)
    if start < 0 or data[start : content.start] != head:
        return -1, -1
    return start, content.stop


def _field(number: int, content: bytes) -> bytes:
    return _key(number) + _varint(len(content)) + content


def _key(number: int) -> bytes:
    """The head of a field of bytes; for numbers below 16."""
    return bytes([number << 3 | 2])


def _varint(value: int) -> bytes:
    """Groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
