"""The graph in an ONNX file, and the bytes of the same file with other nodes.

No package is needed: nodes are exchanged in the bytes of the file. Field numbers are those of
onnx.proto.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scasnet_qgis.models.onnx_wire import Value, Wire

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION, _FUNCTION_DOMAIN = 7, 8, 25, 10
_NODE, _INITIALISER, _OUTPUT = 1, 5, 12
_INPUTS, _OUTPUTS, _OPERATOR, _ATTRIBUTES, _DOMAIN = 1, 2, 4, 5, 7
_NAME, _INTEGER, _TENSOR, _INTEGERS, _SUBGRAPHS = 1, 3, 5, 8, (6, 11)
_TENSOR_NAME, _PLACE = 8, 14
_MOST_LETTERS = 1_000


@dataclass(frozen=True)
class Node:
    """An operator of ONNX's own; ``numbers`` are the whole numbers of its attributes, by name."""

    place: slice
    operator: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    numbers: Mapping[bytes, tuple[int, ...]]


@dataclass
class Graph:
    """Nodes in the order of the file, those of other makers left out; ``uses`` of each tensor.

    ``simple`` is False where weights lie in files of their own or are there twice, operators have
    graphs inside, or the file gives ONNX's own operators another meaning or two versions.
    """

    data: mmap.mmap
    place: slice
    opset: int
    nodes: list[Node] = field(default_factory=list)
    weights: set[bytes] = field(default_factory=set)
    outputs: list[bytes] = field(default_factory=list)
    uses: Counter[bytes] = field(default_factory=Counter)
    simple: bool = True

    def edited(self, exchanged: Mapping[int, Sequence[bytes]]) -> bytes:
        """The file with other nodes; empty where it is written in an odd way.

        ``exchanged`` has, by the place where a node begins, what stands there instead.
        """
        with memoryview(self.data) as data:  # a large file is copied once, into the result
            parts: list[bytes | memoryview] = []
            place = self.place.start
            for node in self.nodes:
                if node.place.start not in exchanged:
                    continue
                before, after = self._around(_NODE, node.place)
                if before < 0:
                    return b""
                parts += [data[place:before], *exchanged[node.place.start]]
                place = after
            parts.append(data[place : self.place.stop])
            start, end = self._around(_MODEL_GRAPH, self.place)
            if start < 0:
                return b""
            head = _key(_MODEL_GRAPH) + _varint(sum(map(len, parts)))
            return b"".join([data[:start], head, *parts, data[end:]])

    def _around(self, number: int, content: slice) -> tuple[int, int]:
        """Where a field with this content begins and ends; -1 where it is written in an odd way."""
        head = _key(number) + _varint(content.stop - content.start)
        start = content.start - len(head)
        if start < 0 or self.data[start : content.start] != head:
            return -1, -1
        return start, content.stop


@contextmanager
def opened_graph(path: Path) -> Iterator[Graph | None]:
    """The graph of a file while that is open; None where it has none, or more than one.

    Raises ValueError for what is no ONNX file, OSError where it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield _read(Wire(data), data)


def a_node(operator: bytes, inputs: Sequence[bytes], output: bytes) -> bytes:
    """A node without attributes as it stands in a graph."""
    parts = [a_field(_INPUTS, name) for name in inputs]
    parts += [a_field(_OUTPUTS, output), a_field(_OPERATOR, operator)]
    return a_field(_NODE, b"".join(parts))


def a_field(number: int, content: bytes) -> bytes:
    """A text, or a message in a message; for numbers below 16."""
    return _key(number) + _varint(len(content)) + content


def _read(wire: Wire, data: mmap.mmap) -> Graph | None:
    places: list[slice] = []
    opset, simple = 0, True
    for number, value in wire.all():
        if number == _MODEL_GRAPH and isinstance(value, slice):
            places.append(value)
        elif number == _MODEL_OPSET and (own := _own_opset(wire, value)):
            opset, simple = own, simple and not opset
        elif number == _MODEL_FUNCTION:
            simple = simple and not _is_own(wire, dict(wire.inside(value)).get(_FUNCTION_DOMAIN))
    if len(places) != 1:
        return None
    graph = Graph(data, places[0], opset, simple=simple)
    for number, value in wire.inside(graph.place):
        if number == _NODE and isinstance(value, slice):
            _add_node(wire, value, graph)
        elif number == _OUTPUT:
            graph.outputs += [wire.name(each) for at, each in wire.inside(value) if at == 1]
        elif number == _INITIALISER:
            _add_weights(wire, value, graph)
    return graph


def _own_opset(wire: Wire, value: Value) -> int:
    """The version of ONNX's own operators; 0 for those of others, which have a domain."""
    parts = dict(wire.inside(value))
    version = parts.get(2)
    return version if isinstance(version, int) and _is_own(wire, parts.get(1)) else 0


def _is_own(wire: Wire, domain: Value | None) -> bool:
    """Whether a domain is that of ONNX's own operators."""
    return domain is None or wire.text(domain, _MOST_LETTERS) in ("", "ai.onnx")


def _add_weights(wire: Wire, tensor: Value, graph: Graph) -> None:
    parts = dict(wire.inside(tensor))
    if parts.get(_PLACE):
        graph.simple = False
    name = parts.get(_TENSOR_NAME)
    if name is not None:
        key = wire.name(name)
        graph.simple = graph.simple and key not in graph.weights  # which of them holds?
        graph.weights.add(key)


def _add_node(wire: Wire, node: slice, graph: Graph) -> None:
    names: dict[int, list[bytes]] = {_INPUTS: [], _OUTPUTS: [], _OPERATOR: [], _DOMAIN: []}
    attributes: list[slice] = []
    for number, part in wire.inside(node):
        if number in names:
            names[number].append(wire.name(part))
        elif number == _ATTRIBUTES and isinstance(part, slice):
            attributes.append(part)
    graph.uses.update(names[_INPUTS])
    numbers = dict(_attribute(wire, each, graph) for each in attributes)
    if names[_DOMAIN] in ([], [b""], [b"ai.onnx"]) and len(names[_OPERATOR]) == 1:
        inputs, outputs = tuple(names[_INPUTS]), tuple(names[_OUTPUTS])
        graph.nodes.append(Node(node, names[_OPERATOR][0], inputs, outputs, numbers))


def _attribute(wire: Wire, attribute: slice, graph: Graph) -> tuple[bytes, tuple[int, ...]]:
    """Name and whole numbers of an attribute."""
    name, numbers = b"", []
    for number, value in wire.inside(attribute):
        if number == _NAME:
            name = wire.name(value)
        elif number in (_INTEGER, _INTEGERS):
            numbers += wire.numbers(value)
        elif number in _SUBGRAPHS or (number == _TENSOR and _lies_outside(wire, value)):
            graph.simple = False
    return name, tuple(numbers)


def _lies_outside(wire: Wire, tensor: Value) -> bool:
    """Whether a tensor's numbers are in a file of their own."""
    return any(at == _PLACE and each for at, each in wire.inside(tensor))


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
