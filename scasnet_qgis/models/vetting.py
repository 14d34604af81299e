"""A model file from anywhere, looked at before ONNX Runtime loads it.

What is refused here would make ONNX Runtime read files that are none of the model's, set aside
memory without end, or work for hours; or its message would not help anybody.
"""

from __future__ import annotations

import math
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.protobuf_wire import OversizeError
from scasnet_qgis.common.untrusted import clean_name, oversized_metadata
from scasnet_qgis.models.onnx_proto import EXTERNAL, MAX_DIMS, is_own, read_outline, shown

MAX_BYTES = 2**31 - 1  # a protocol buffer cannot be larger
MAX_OPERATORS = 50_000  # the largest networks of this kind have a fifth
MAX_FUNCTION_DEPTH = 16  # functions inside functions
_MAX_METADATA = 8_000_000  # bytes of all keys and values
_MAX_PATH = 4_000  # bytes of the path of another file
_SHOWN_DIMS = 6
_DOMAINS = (
    "", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training",
    "com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.microsoft.dml",
    "com.ms.internal.nhwc",
)  # fmt: skip
_COMPILED = "EPContext"  # a program for one device, which nobody can look into
# Bits of each number, by the type of a tensor.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64,
    15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
_COMPLEX = (14, 15)
_SAME_BYTES = 2  # times that bytes of another file may be used, for weights that layers share

Operator = tuple[str, str]  # domain and name


def vet(path: Path) -> None:
    """Raise ModelError where a file is no ONNX model or one that had better not be loaded."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} has {size:.1f} GiB, but ONNX files are limited to 2: "
                    "choose another file, or one with its weights in a separate file.",
                ),
                name=path.name,
                size=size / 2**30,
            )
        _Vetting(path).check(read_outline(path))
    except OversizeError as error:
        raise _too_large(path, str(error)) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            translate(
                "ScasNet", "{name} is not an ONNX model, or is incomplete: choose another file."
            ),
            str(error),
            name=path.name,
        ) from error


def _too_large(path: Path, detail: str) -> ModelError:
    return ModelError(
        translate(
            "ScasNet",
            "The graph of {name} is too large or too deeply nested: choose another model.",
        ),
        detail,
        name=path.name,
    )


class _Vetting:
    """Looks at all graphs of a file; raises ModelError, or ValueError where it is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = _Tensors(path)

    def check(self, model: Any) -> None:
        metadata = sum(len(entry.key) + entry.value_size for entry in model.metadata_props)
        if metadata > _MAX_METADATA:
            raise oversized_metadata(f"{metadata} bytes of metadata")
        if not model.HasField("graph"):
            raise ValueError("no graph")
        functions: dict[Operator, Counter[Operator]] = {}
        for function in model.functions:
            operator = _domain(function.domain), shown(function.name)
            calls = functions.setdefault(operator, Counter())
            self._check_order([self._node(node, calls) for node in function.node])
        calls = Counter[Operator]()
        self._graph(model.graph, calls)
        for operators in (calls, *functions.values()):
            self._check_operators(operators, functions)
        self._check_amount(calls, functions)

    def _check_operators(self, calls: Iterable[Operator], functions: Collection[Operator]) -> None:
        for operator in calls:
            domain, name = operator
            if operator in functions or (domain in _DOMAINS and name != _COMPILED):
                continue
            raise ModelError(
                translate(
                    "ScasNet",
                    "{name} uses the operator '{operator}' of '{domain}', which ONNX "
                    "Runtime does not support: choose another model.",
                ),
                name=self._path.name,
                operator=clean_name(name),
                domain=clean_name(domain),
            )

    def _check_amount(
        self, calls: Counter[Operator], functions: Mapping[Operator, Counter[Operator]]
    ) -> None:
        try:
            operators = operators_in(calls, functions)
        except ValueError as error:
            raise _too_large(self._path, str(error)) from error
        if operators > MAX_OPERATORS:
            raise _too_large(self._path, f"{min(operators, 10**18)} operators")

    def _graph(self, graph: Any, calls: Counter[Operator]) -> set[bytes]:
        """Look at a graph and count its operators; returns the names it takes from around it."""
        if graph.sparse_initializer:
            raise self._sparse()
        for value in (*graph.input, *graph.output):
            self._check_sizes(value)
        for tensor in graph.initializer:
            self._tensors.check(tensor)
        nodes = [self._node(node, calls) for node in graph.node]
        self._check_order(nodes)
        own = {tensor.name for tensor in graph.initializer}
        own.update(value.name for value in graph.input)
        own.update(name for _, gives in nodes for name in gives)
        return {name for needs, _ in nodes for name in needs} - own

    def _node(self, node: Any, calls: Counter[Operator]) -> tuple[set[bytes], list[bytes]]:
        """Look at an operator; returns the names that it needs and those that it gives."""
        needs = set(node.input)
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise self._sparse()
            single = [attribute.t] if attribute.HasField("t") else []
            for tensor in (*single, *attribute.tensors):
                self._tensors.check(tensor)
            single = [attribute.g] if attribute.HasField("g") else []
            for graph in (*single, *attribute.graphs):
                needs |= self._graph(graph, calls)
        calls[_domain(node.domain), shown(node.op_type)] += 1
        return needs - {b""}, list(node.output)

    def _check_order(self, nodes: Sequence[tuple[set[bytes], list[bytes]]]) -> None:
        if has_cycle(nodes):
            raise ModelError(
                translate("ScasNet", "The graph of {name} has a cycle: choose another model."),
                name=self._path.name,
            )

    def _check_sizes(self, value: Any) -> None:
        """Raise ModelError where an input or output states a size below 1."""
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_value") and dimension.dim_value < 1:
                raise ModelError(
                    translate(
                        "ScasNet",
                        "{name} has a dimension of size {size} in '{end}': export it "
                        "again, with dynamic axes where sizes vary.",
                    ),
                    name=self._path.name,
                    size=dimension.dim_value,
                    end=clean_name(shown(value.name)),
                )

    def _sparse(self) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} has sparse weights, which are not supported: export it again "
                "with dense ones.",
            ),
            name=self._path.name,
        )


def _domain(domain: bytes) -> str:
    return "" if is_own(domain) else shown(domain)


def has_cycle(nodes: Sequence[tuple[Collection[bytes], Sequence[bytes]]]) -> bool:
    """Whether nodes, each with the names that it needs and gives, wait for each other.

    They may stand in any order. (Kahn 1962, doi:10.1145/368996.369025)
    """
    makers = {name: index for index, (_, gives) in enumerate(nodes) for name in gives if name}
    waiting: list[int] = []
    followers: dict[int, list[int]] = defaultdict(list)
    for index, (needs, _) in enumerate(nodes):
        before = {makers[name] for name in needs if name in makers}
        waiting.append(len(before))
        for maker in before:
            followers[maker].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for follower in followers[ready.pop()]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return done < len(nodes)


def operators_in(
    calls: Mapping[Operator, int], functions: Mapping[Operator, Mapping[Operator, int]]
) -> int:
    """How many operators there are once every function is put where it is called.

    ``calls`` are how often a graph has each operator, ``functions`` the same of their bodies. Each
    function may call others, so a few lines can stand for more operators than any memory holds.
    Raises ValueError where functions call themselves or nest deeper than MAX_FUNCTION_DEPTH.
    """
    known: dict[Operator, int] = {}

    def count(calls: Mapping[Operator, int], depth: int) -> int:
        if depth > MAX_FUNCTION_DEPTH:
            raise ValueError(f"functions nest deeper than {MAX_FUNCTION_DEPTH}")
        total = 0
        for operator, times in calls.items():
            if operator in functions and operator not in known:
                known[operator] = count(functions[operator], depth + 1)
            total += times * known.get(operator, 1)
        return total

    return count(calls, 0)


class _Tensors:
    """Whether the weights of a model file are where and as large as the file says.

    ONNX Runtime sets memory aside by what a file claims. A claim is compared here with what there
    is, before any memory is set aside.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._external: dict[str, tuple[int, int]] = {}  # size and bytes used of other files

    def check(self, tensor: Any) -> None:
        """Look at one tensor of an outline; each refusal is a ModelError, or a ValueError."""
        if len(tensor.dims) > MAX_DIMS:
            raise ValueError("a tensor of too many dimensions")
        claimed = math.prod(tensor.dims)
        if min(tensor.dims, default=1) < 0:
            raise self._misleading(tensor, 0)
        if tensor.external_data or tensor.data_location == EXTERNAL:
            entries = dict(map(_entry, tensor.external_data))
            self._check_external(entries, -(-claimed * _bits(tensor) // 8))
        elif claimed > _held(tensor):
            raise self._misleading(tensor, _held(tensor))

    def _check_external(self, entries: Mapping[str, str], wanted: int) -> None:
        location = entries.get("location", "")
        if location not in self._external:
            self._external[location] = self._size(location), 0
        size, used = self._external[location]
        offset = _whole(entries.get("offset", "0"))
        available = _whole(entries.get("length", str(max(size - offset, 0))))
        used += wanted
        self._external[location] = size, used
        if wanted > available or offset + wanted > size or used > _SAME_BYTES * size:
            raise ModelError(
                translate(
                    "ScasNet",
                    "The file '{file}' with the weights of {name} is shorter than the model says: "
                    "copy both again.",
                ),
                f"{wanted} of {available} bytes from {offset} of {size}, {used} in all",
                file=clean_name(location),
                name=self._path.name,
            )

    def _size(self, location: str) -> int:
        """Bytes of another file, which has to lie in the model's folder."""
        ways = PurePosixPath(location), PureWindowsPath(location)
        if any(way.anchor or ".." in way.parts for way in ways) or "\0" in location:
            raise self._elsewhere(location)
        folder = self._path.parent
        try:
            file = (folder / location).resolve(strict=True)
            status = file.stat()
            inside = folder.resolve() in file.parents
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
            raise self._missing(location, str(error)) from error
        if not inside:
            raise self._elsewhere(location)
        if not stat.S_ISREG(status.st_mode):
            raise self._missing(location, "not a file")
        return status.st_size

    def _elsewhere(self, location: str) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "{name} refers to '{file}' outside its folder, which is not allowed: choose"
                " a model whose weights are beside it.",
            ),
            name=self._path.name,
            file=clean_name(location),
        )

    def _missing(self, location: str, detail: str) -> ModelError:
        return ModelError(
            translate(
                "ScasNet", "The weights of {name} are missing: put the file '{file}' beside it."
            ),
            detail,
            name=self._path.name,
            file=clean_name(location),
        )

    def _misleading(self, tensor: Any, held: int) -> ModelError:
        return ModelError(
            translate(
                "ScasNet",
                "Weights '{tensor}' of {name} have shape {shape}, but the file has {size:,}"
                " values: copy the model again, or choose another one.",
            ),
            tensor=clean_name(shown(tensor.name)),
            name=self._path.name,
            shape=" x ".join(map(str, tensor.dims[:_SHOWN_DIMS])),
            size=held,
        )


def _bits(tensor: Any) -> int:
    """Of each number; the least there is where the type is not known."""
    return _BITS.get(tensor.data_type, 1)


def _held(tensor: Any) -> int:
    """How many numbers the file has for a tensor, at most."""
    if tensor.HasField("raw_size"):
        return int(8 * tensor.raw_size // _bits(tensor))
    stored = sum(tensor.stored)
    if tensor.data_type in _COMPLEX:
        return stored // 2
    return stored * max(8 // _bits(tensor), 1)  # small ones share a place


def _entry(entry: Any) -> tuple[str, str]:
    """Key and value of a description of another file."""
    if not (entry.HasField("key") and entry.HasField("value")) or len(entry.value) > _MAX_PATH:
        raise ValueError("an odd description of another file")
    return shown(entry.key, 20), shown(entry.value, _MAX_PATH)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise ValueError(f"no place in a file: {text[:40]}")
    return int(text)
