"""Small ONNX files of every kind that a user may choose, with scores a test can compute itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
CLASS_NAMES = '{"0": "water", "1": "forest", "2": "town"}'


def weights(bands: int, classes: int, scale: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [classes, bands] and bias [classes] of the pixelwise classifier."""
    random = np.random.default_rng(7)
    return (
        (random.standard_normal((classes, bands)) * scale).astype(np.float32),
        random.standard_normal(classes).astype(np.float32),
    )


def logits(tiles: np.ndarray, classes: int) -> np.ndarray:
    """What the classifier gives for tiles [N, bands, H, W]."""
    kernel, bias = weights(tiles.shape[1], classes)
    scores = np.einsum("kc,nchw->nkhw", kernel.astype(np.float64), tiles.astype(np.float64))
    return scores + bias[:, None, None]


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores))


def save(
    path: Path,
    nodes: list[Any],
    constants: dict[str, np.ndarray],
    inputs: dict[str, list[Any]],
    output: list[Any] | None,
    *,
    in_type: int = TensorProto.FLOAT,
    out_type: int = TensorProto.FLOAT,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a graph whose output is called ``scores``."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, in_type, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("scores", out_type, output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def pixelwise(
    path: Path,
    *,
    bands: int = 3,
    classes: int = 3,
    batch: int | str = "batch",
    size: tuple[int | str, int | str] = ("height", "width"),
    activation: str | None = "Softmax",
    margin: int = 0,
    kind: str = "float32",
    output: list[Any] | str | None = "stated",
    metadata: dict[str, str] | None = None,
) -> Path:
    """A 1 x 1 convolution; ``margin`` pixels are cut off its output on each side."""
    kernel, bias = weights(bands, classes)
    constants = {"kernel": kernel[:, :, None, None].astype(kind), "bias": bias.astype(kind)}
    nodes = [helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"])]
    last = "logits"
    if activation:
        options = {"axis": 1} if activation == "Softmax" else {}
        nodes.append(helper.make_node(activation, [last], ["activated"], **options))
        last = "activated"
    if margin:
        edges = {"starts": [margin] * 2, "ends": [-margin] * 2, "axes": [2, 3]}
        constants.update({key: np.array(edge, dtype=np.int64) for key, edge in edges.items()})
        nodes.append(helper.make_node("Slice", [last, "starts", "ends", "axes"], ["cut"]))
        last = "cut"
    nodes.append(helper.make_node("Identity", [last], ["scores"]))
    if output == "stated":
        smaller = [side - 2 * margin if isinstance(side, int) else side for side in size]
        output = [batch, classes, *smaller] if not margin or isinstance(size[0], int) else None
    return save(
        path, nodes, constants, {"image": [batch, bands, *size]}, output,
        in_type=TYPES[kind], out_type=TYPES[kind], metadata=metadata,
    )  # fmt: skip


def coarse(path: Path, factor: int, size: tuple[Any, Any]) -> Path:
    """Scores of every ``factor``-th pixel only."""
    kernel, bias = weights(3, 3)
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], strides=[factor] * 2),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    constants = {"kernel": kernel[:, :, None, None], "bias": bias}
    return save(path, nodes, constants, {"image": ["n", 3, *size]}, None)


def uneven(path: Path) -> Path:
    """A map that lacks one row and one column at its end."""
    edges = {"starts": [0, 0], "ends": [-1, -1], "axes": [2, 3]}
    constants = {key: np.array(edge, dtype=np.int64) for key, edge in edges.items()}
    nodes = [helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["scores"])]
    return save(path, nodes, constants, {"image": [1, 3, 64, 64]}, [1, 3, 63, 63])


def reshaped(path: Path, shape: list[int], *, metadata: dict[str, str] | None = None) -> Path:
    """An output of another shape, as detectors and classifiers have."""
    constants = {"shape": np.array(shape, dtype=np.int64)}
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["scores"])]
    return save(path, nodes, constants, {"image": [1, 3, 24, 24]}, shape, metadata=metadata)


def bands_last(path: Path, *, input_too: bool) -> Path:
    """An image model in the other order of axes, at its output or at both ends."""
    if input_too:
        nodes = [helper.make_node("Softmax", ["image"], ["scores"], axis=3)]
        return save(path, nodes, {}, {"image": ["n", "h", "w", 3]}, ["n", "h", "w", 3])
    nodes = [helper.make_node("Transpose", ["image"], ["scores"], perm=[0, 2, 3, 1])]
    return save(path, nodes, {}, {"image": [1, 3, 64, 64]}, [1, 64, 64, 3])


def class_numbers(path: Path) -> Path:
    """The best class of every pixel instead of scores."""
    nodes = [helper.make_node("ArgMax", ["image"], ["scores"], axis=1, keepdims=1)]
    shapes = ["n", 3, "h", "w"], ["n", 1, "h", "w"]
    return save(path, nodes, {}, {"image": shapes[0]}, shapes[1], out_type=TensorProto.INT64)


def two_inputs(path: Path) -> Path:
    """Two images at a time, as change detection takes."""
    shape = ["n", 3, "h", "w"]
    nodes = [helper.make_node("Sub", ["before", "after"], ["scores"])]
    return save(path, nodes, {}, {"before": shape, "after": shape}, shape)


def slow(path: Path, layers: int = 120, channels: int = 16) -> Path:
    """Many 3 x 3 convolutions: about ten seconds and more for a tile of 1024 x 1024."""
    random = np.random.default_rng(3)
    constants, nodes, last, inputs = {}, [], "image", 3
    for index in range(layers):
        outputs = 3 if index == layers - 1 else channels
        kernel = random.standard_normal((outputs, inputs, 3, 3)) / np.sqrt(9 * inputs)
        constants[f"kernel{index}"] = kernel.astype(np.float32)
        nodes.append(
            helper.make_node("Conv", [last, f"kernel{index}"], [f"map{index}"], pads=[1] * 4)
        )
        last, inputs = f"map{index}", outputs
    nodes.append(helper.make_node("Softmax", [last], ["scores"], axis=1))
    shape = ["n", 3, "h", "w"]
    return save(path, nodes, constants, {"image": shape}, shape)


def not_finite(path: Path) -> Path:
    """Fine in dark pixels, NaN in bright ones (the square root of a negative number)."""
    nodes = [
        helper.make_node("Sub", ["limit", "image"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Softmax", ["root"], ["scores"], axis=1),
    ]
    shape = ["n", 3, "h", "w"]
    return save(path, nodes, {"limit": np.float32([1.0])}, {"image": shape}, shape)
