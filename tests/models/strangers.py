"""Model files that mean no good, or that were made carelessly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models import tiny_models as tiny


def edited(path: Path, change: Callable[[Any], object], **options: Any) -> Path:
    """A tiny model after ``change`` was made to its protocol buffer."""
    model = onnx.load(str(tiny.pixelwise(path, **options)))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def external(path: Path, location: str, **entries: object) -> Path:
    """The kernel, 9 numbers, is in another file."""

    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            tensor.external_data.add(key=key, value=str(value))

    return edited(path, change)


def claiming(path: Path, *dims: int) -> Path:
    """The kernel claims another shape than it has."""

    def change(model: Any) -> None:
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)

    return edited(path, change)


def claiming_in_a_node(path: Path) -> Path:
    """A Constant inside a branch claims a shape that it has not."""
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "inner")
    tensor.dims[0] = 2**40

    def change(model: Any) -> None:
        node = helper.make_node("Constant", [], ["inner"], value=tensor)
        graph = helper.make_graph(
            [node], "g", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
        )
        model.graph.node.append(
            helper.make_node("If", ["bias"], ["more"], then_branch=graph, else_branch=graph)
        )

    return edited(path, change)


def circle(path: Path) -> Path:
    """The first operator waits for what the last one gives."""
    return edited(path, lambda model: model.graph.node[0].input.__setitem__(0, "scores"))


def circle_through_a_branch(path: Path) -> Path:
    """A graph inside an operator waits for what comes behind that operator."""

    def change(model: Any) -> None:
        inner = helper.make_graph(
            [helper.make_node("Identity", ["scores"], ["i"])],
            "g",
            [],
            [helper.make_tensor_value_info("i", TensorProto.FLOAT, None)],
        )
        node = model.graph.node[2]
        node.op_type = "If"
        for key in ("then_branch", "else_branch"):
            node.attribute.append(helper.make_attribute(key, inner))

    return edited(path, change)


def foreign_operator(path: Path, domain: str = "evil.ops", kind: str = "Softmax") -> Path:
    def change(model: Any) -> None:
        model.graph.node[1].domain, model.graph.node[1].op_type = domain, kind
        model.opset_import.append(helper.make_opsetid(domain, 1))

    return edited(path, change)


def functions(path: Path, depth: int, again: bool = False) -> Path:
    """Functions that call the next one twice, the last one (``again``) the first one."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]

    def change(model: Any) -> None:
        for index in range(depth):
            last = index == depth - 1
            kind = ("f0" if again else "Identity") if last else f"f{index + 1}"
            domain = "" if last and not again else "own"
            body = [
                helper.make_node(kind, ["x"], ["y"], domain=domain),
                helper.make_node(kind, ["y"], ["z"], domain=domain),
            ]
            name = f"f{index}"
            model.functions.append(helper.make_function("own", name, ["x"], ["z"], body, opsets))
        model.graph.node[2].op_type, model.graph.node[2].domain = "f0", "own"
        model.opset_import.append(helper.make_opsetid("own", 1))

    return edited(path, change)


def nested(path: Path, depth: int) -> Path:
    """Branches inside branches."""

    def graph(nodes: list[Any], output: str) -> Any:
        end = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        return helper.make_graph(nodes, output, [], [end])

    def change(model: Any) -> None:
        inner = graph([helper.make_node("Identity", ["image"], ["o"])], "o")
        other = graph([helper.make_node("Identity", ["image"], ["q"])], "q")
        for index in range(depth):
            name = "scores" if index == depth - 1 else f"o{index}"
            node = helper.make_node("If", ["c"], [name], then_branch=inner, else_branch=other)
            inner = graph([node], name)
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
        del model.graph.node[:]
        model.graph.node.append(inner.node[0])

    return edited(path, change)


def sparse(path: Path) -> Path:
    def change(model: Any) -> None:
        values = helper.make_tensor("huge", TensorProto.FLOAT, [1], [1.0])
        indices = helper.make_tensor("", TensorProto.INT64, [1], [0])
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**40]))

    return edited(path, change)


def many_operators(path: Path) -> Path:
    def change(model: Any) -> None:
        node = model.graph.node[2]
        model.graph.node.extend([node] * 50_000)

    return edited(path, change)


def endless_loop(path: Path) -> Path:
    """Goes round 2 ** 60 times."""
    boolean, number = TensorProto.BOOL, TensorProto.INT64
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("index", number, []),
            helper.make_tensor_value_info("go", boolean, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", boolean, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    nodes = [helper.make_node("Loop", ["times", "yes", "image"], ["scores"], body=body)]
    constants = {"times": np.array(2**60), "yes": np.array(True)}
    return tiny.save(path, nodes, constants, {"image": ["n", 3, "h", "w"]}, None)


def without_outputs(path: Path) -> Path:
    return edited(path, lambda model: model.graph.ClearField("output"))


def no_maps(path: Path, size: list[Any]) -> Path:
    """Cuts the batch down to nothing."""
    edges = {"starts": [0], "ends": [0], "axes": [0]}
    constants = {key: np.array(edge, dtype=np.int64) for key, edge in edges.items()}
    nodes = [helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["scores"])]
    return tiny.save(path, nodes, constants, {"image": ["n", 3, *size]}, ["m", 3, *size])


def giant(path: Path, numbers: int) -> Path:
    """Two hundred bytes that ask for ``numbers`` numbers at once when they are computed."""
    one = numpy_helper.from_array(np.float32([1]))
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["giant"], value=one),
        helper.make_node("ReduceMax", ["giant"], ["most"], keepdims=0),
        helper.make_node("Add", ["image", "most"], ["scores"]),
    ]
    shape = ["n", 3, "h", "w"]
    return tiny.save(path, nodes, {"size": np.array([numbers])}, {"image": shape}, None)
