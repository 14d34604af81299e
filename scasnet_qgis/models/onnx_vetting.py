"""A model file from anywhere, looked at before ONNX Runtime loads it.

What is refused here would make ONNX Runtime read files that are none of the model's, set aside
memory without end, or work for hours; or its message would not help anybody. Field numbers are
those of onnx.proto.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.untrusted import clean_name, too_much_text
from scasnet_qgis.models.graph_checks import (
    MOST_OPERATORS,
    Body,
    Operator,
    has_circle,
    operators_in,
)
from scasnet_qgis.models.onnx_tensors import Tensors
from scasnet_qgis.models.onnx_wire import OversizeError, Value, Wire, length, opened

MOST_BYTES = 2**31 - 1  # a protocol buffer cannot be larger
_MOST_METADATA = 8_000_000  # bytes of all keys and values
_DEEPEST = 10  # graphs inside operators inside graphs
_DOMAINS = (
    "", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training",
    "com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.microsoft.dml",
    "com.ms.internal.nhwc",
)  # fmt: skip
_COMPILED = "EPContext"  # a program for one device, which nobody can look into
_GRAPH, _METADATA, _FUNCTION = 7, 14, 25
_NODE, _INITIALISER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_DOMAIN = 1, 7, 10
_NODE_INPUT, _NODE_OUTPUT, _OPERATOR, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_ONE, _SPARSE_MANY = 5, 6, 10, 11, 22, 23


def vet(path: Path) -> None:
    """Raise ModelError where a file is no ONNX model or one that had better not be loaded."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} has {size:.1f} GiB, but no ONNX file has more than 2: choose another "
                    "file, or one that keeps its weights in a file of their own.",
                ),
                name=path.name,
                size=size / 2**30,
            )
        with opened(path) as wire:
            _Vetting(path, wire).model()
    except OversizeError as error:
        raise _too_large(path, str(error)) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            translate(
                "ScasNet",
                "{name} is not an ONNX model, or only a part of one: choose another file.",
            ),
            str(error),
            name=path.name,
        ) from error


def _too_large(path: Path, detail: str) -> ModelError:
    return ModelError(
        translate(
            "ScasNet",
            "{name} consists of more operators, side by side or inside each other, than any "
            "network needs: choose another model.",
        ),
        detail,
        name=path.name,
    )


class _Vetting:
    """Walks through all graphs of a file; raises ModelError, or ValueError where it is broken."""

    def __init__(self, path: Path, wire: Wire) -> None:
        self._path, self._wire = path, wire
        self._tensors = Tensors(path, wire)

    def model(self) -> None:
        graphs, functions, metadata = [], dict[Operator, Body](), 0
        for number, value in self._wire.all():
            if number == _GRAPH:
                graphs.append(value)
            elif number == _FUNCTION:
                operator, body = self._function(value)
                functions.setdefault(operator, Body()).calls.update(body.calls)
            elif number == _METADATA:
                metadata += length(value)
        if metadata > _MOST_METADATA:
            raise too_much_text(f"{metadata} bytes of metadata")
        if len(graphs) != 1:
            raise ValueError(f"{len(graphs)} graphs")
        body = Body()
        self._graph(graphs[0], body, 0)
        for each in (body, *functions.values()):
            self._check_operators(each, functions)
        self._check_amount(body, functions)

    def _check_operators(self, body: Body, functions: dict[Operator, Body]) -> None:
        for operator in body.calls:
            domain, name = operator
            if operator in functions or (domain in _DOMAINS and name != _COMPILED):
                continue
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} needs the operator '{operator}' of '{domain}', which ONNX Runtime does "
                    "not have: choose a model of standard operators.",
                ),
                name=self._path.name,
                operator=clean_name(name),
                domain=clean_name(domain),
            )

    def _check_amount(self, body: Body, functions: dict[Operator, Body]) -> None:
        try:
            operators = operators_in(body, functions)
        except ValueError as error:
            raise _too_large(self._path, str(error)) from error
        if operators > MOST_OPERATORS:
            raise _too_large(self._path, f"{min(operators, 10**18)} operators")

    def _function(self, value: Value) -> tuple[Operator, Body]:
        name, domain, body, nodes = "", "", Body(), []
        for number, part in self._wire.inside(value):
            if number == _FUNCTION_NAME:
                name = self._text(part)
            elif number == _FUNCTION_DOMAIN:
                domain = self._domain(part)
            elif number == _FUNCTION_NODE:
                nodes.append(self._node(part, body, 0))
        self._check_order(nodes)
        return (domain, name), body

    def _graph(self, value: Value, body: Body, depth: int) -> set[bytes]:
        """Look at a graph and count its operators; returns the names it takes from around it."""
        if depth > _DEEPEST:
            raise _too_large(self._path, f"graphs nest deeper than {_DEEPEST}")
        nodes, own = [], set()
        for number, part in self._wire.inside(value):
            if number == _NODE:
                nodes.append(self._node(part, body, depth))
            elif number == _INITIALISER:
                own.add(self._tensors.check(part))
            elif number in (_INPUT, _OUTPUT):
                name = self._end(part)
                own.update([name] if number == _INPUT else [])
            elif number == _SPARSE:
                raise self._sparse()
        self._check_order(nodes)
        own.update(name for _, gives in nodes for name in gives)
        return {name for needs, _ in nodes for name in needs} - own

    def _node(self, value: Value, body: Body, depth: int) -> tuple[set[bytes], list[bytes]]:
        """Look at an operator; returns the names that it needs and those that it gives."""
        needs, gives, operator, domain = set(), [], "", ""
        for number, part in self._wire.inside(value):
            if number == _NODE_INPUT:
                needs.add(self._wire.name(part))
            elif number == _NODE_OUTPUT:
                gives.append(self._wire.name(part))
            elif number == _OPERATOR:
                operator = self._text(part)
            elif number == _DOMAIN:
                domain = self._domain(part)
            elif number == _ATTRIBUTE:
                needs |= self._attribute(part, body, depth)
        body.calls[domain, operator] += 1
        return needs - {b""}, gives

    def _attribute(self, value: Value, body: Body, depth: int) -> set[bytes]:
        needs: set[bytes] = set()
        seen: Counter[int] = Counter()
        for number, part in self._wire.inside(value):
            seen[number] += 1
            if number in (_TENSOR, _TENSORS):
                self._tensors.check(part)
            elif number in (_SUBGRAPH, _SUBGRAPHS):
                needs |= self._graph(part, body, depth + 1)
            elif number in (_SPARSE_ONE, _SPARSE_MANY):
                raise self._sparse()
        if seen[_TENSOR] > 1 or seen[_SUBGRAPH] > 1:  # their parts would be put together
            raise ValueError("one thing described twice")
        return needs

    def _check_order(self, nodes: list[tuple[set[bytes], list[bytes]]]) -> None:
        if has_circle(nodes):
            raise ModelError(
                translate(
                    "ScasNet",
                    "The operators of {name} wait for each other in a circle, so that it cannot "
                    "be computed: choose another model.",
                ),
                name=self._path.name,
            )

    def _end(self, value: Value) -> bytes:
        """The name of an input or output, whose sizes are looked at."""
        name = b""
        for number, part in self._wire.inside(value):
            if number == 1:
                name = self._wire.name(part)
            elif number == 2:
                for size in self._sizes(part):
                    if size < 1:
                        raise self._bad_size(name, size)
        return name

    def _sizes(self, value: Value) -> list[int]:
        """The sizes that a TypeProto of a tensor states: tensor_type, shape, dim, dim_value."""
        messages = [value]
        for wanted in (1, 2, 1):
            messages = [
                part
                for each in messages
                for number, part in self._wire.inside(each)
                if number == wanted and isinstance(part, slice)
            ]
        found = [
            part for each in messages for number, part in self._wire.inside(each) if number == 1
        ]
        return [size for each in found for size in self._wire.numbers(each)]

    def _bad_size(self, name: bytes, size: int) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} states a size of {size} for '{end}', but sizes begin at 1: export it "
                "again, with a name for each size that may vary.",
            ),
            name=self._path.name,
            size=size,
            end=clean_name(name.decode("utf-8", "replace")),
        )

    def _sparse(self) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} holds sparse weights, which are not supported: export it again with plain "
                "ones.",
            ),
            name=self._path.name,
        )

    def _text(self, value: Value) -> str:
        return self._wire.text(value, 200)

    def _domain(self, value: Value) -> str:
        domain = self._text(value)
        return "" if domain == "ai.onnx" else domain
