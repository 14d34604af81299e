"""Small files that fuzzing starts from."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from scasnet_qgis.common.model_card import ModelCard, ModelClass, to_metadata
from tests.models import tiny_models as tiny
from tests.training.caffe import wire

_CARD = ModelCard(
    "seed",
    tuple(ModelClass(name, "#112233") for name in ("water", "forest", "town")),
    resolution=(0.1, 0.5),
    network="VGG ScasNet",
    width=0.25,
    accuracy={"data": "x", "mean_iou": 0.5, "iou": {"water": 0.5}, "confusion": [[1] * 3] * 3},
    standardise=True,
)


def seeds(target: str) -> list[bytes]:
    """The seeds of ``targets.TARGETS[target]``."""
    return {"model": _models, "caffe": _caffe, "card": _cards}[target]()


def _models() -> list[bytes]:
    metadata = to_metadata(_CARD)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        return [
            tiny.pixelwise(path, metadata=metadata).read_bytes(),
            tiny.pixelwise(path, batch=2, size=(32, 48), margin=4, output=None).read_bytes(),
            tiny.pixelwise(path, classes=1, activation="Sigmoid", output=None).read_bytes(),
            tiny.pixelwise(path, kind="float16", metadata=metadata).read_bytes(),
            tiny.coarse(path, 2, ("h", "w")).read_bytes(),
            tiny.uneven(path).read_bytes(),
            tiny.class_numbers(path).read_bytes(),
            tiny.not_finite(path).read_bytes(),
            tiny.slow(path, 3, 4).read_bytes(),
            _resized(path).read_bytes(),
            _branched(path).read_bytes(),
            _dilated(path, metadata).read_bytes(),
        ]


def _resized(path: Path) -> Path:
    """Down and up again, with a Constant and weights in 8 bit."""
    kernel = numpy_helper.from_array(np.ones((3, 3, 2, 2), np.int8), "value")
    nodes = [
        helper.make_node("Constant", [], ["stored"], value=kernel),
        helper.make_node("DequantizeLinear", ["stored", "scale"], ["kernel"]),
        helper.make_node("Conv", ["image", "kernel"], ["small"], strides=[2, 2]),
        helper.make_node("MaxPool", ["small"], ["pool"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Resize", ["pool", "", "double"], ["scores"], mode="linear"),
    ]
    constants = {"scale": np.float32(0.5).reshape(()), "double": np.float32([1, 1, 2, 2])}
    return tiny.save(path, nodes, constants, {"image": ["n", 3, "h", "w"]}, None)


def _dilated(path: Path, metadata: dict[str, str]) -> Path:
    """Convolutions with all their attributes, one of them dilated, and a softmax."""
    pads, dilations = [6] * 4, [6, 6]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["view"], pads=pads, dilations=dilations, group=1),
        helper.make_node("Relu", ["view"], ["seen"]),
        helper.make_node("Conv", ["seen", "p"], ["logits"], pads=[0] * 4, strides=[1, 1]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    weights = {"w": np.ones((2, 3, 3, 3), np.float32), "p": np.ones((3, 2, 1, 1), np.float32)}
    shapes = {"image": ["n", 3, "h", "w"]}
    return tiny.save(path, nodes, weights, shapes, ["n", 3, "h", "w"], metadata=metadata)


def _branched(path: Path) -> Path:
    """An operator with a graph in each of two branches."""
    branches = [
        helper.make_graph(
            [helper.make_node(kind, ["image"], [kind])],
            kind,
            [],
            [helper.make_tensor_value_info(kind, TensorProto.FLOAT, None)],
        )
        for kind in ("Relu", "Sigmoid")
    ]
    parts = dict(zip(("then_branch", "else_branch"), branches))
    nodes = [helper.make_node("If", ["which"], ["scores"], **parts)]
    shape = ["n", 3, "h", "w"]
    return tiny.save(path, nodes, {"which": np.array(True)}, {"image": shape}, None)


def _caffe() -> list[bytes]:
    small = np.ones((1, 2), np.float32)
    kernel = np.ones((2, 3, 3, 3), np.float32)
    norm = [wire.blob(np.ones(size, np.float32)) for size in (64, 64, 1)]
    return [
        wire.layer("conv1_1", "Convolution", [wire.blob(kernel), wire.blob(small)])
        + wire.layer("conv6_funetuning_fpn", "Convolution", [wire.blob(kernel)]),
        wire.chunk(1, "net")
        + wire.layer("conv1_1", "Convolution", [wire.blob(small)], fed="data", feeds="conv1_1")
        + wire.old_layer("fc6", 14, [wire.legacy_shape((1, 1, 1, 2)) + wire.floats(small)])
        + wire.layer("fc7", "X", [wire.shape((2,)) + wire.floats(small, double=True)])
        + wire.layer("fc8", "X", [wire.shape((2,)) + wire.floats(small, packed=False)]),
        wire.layer("conv1_1_3x3_s2", "Convolution", [wire.blob(kernel)])
        + wire.layer("conv1_1_3x3_s2/bn", "BatchNorm", norm, fed="a", feeds="b")
        + wire.layer("x", "Scale", norm[:2], fed="b", feeds="c")
        + wire.layer("conv5_3_1x1_increase", "Convolution", [wire.blob(kernel)]),
    ]


def _cards() -> list[bytes]:
    texts = [
        to_metadata(_CARD),
        {"names": "{0: 'road', 1: \"a\\'b\"}", "tiles_overlap": "15", "resolution": "21.5"},
        {"class_names": '[{"0": "a"}, {}]', "standardization_mean": "(0.1, -2e-3, 1)"},
    ]
    return [
        "\0".join(f"{key}={text}" for key, text in entries.items()).encode() for entries in texts
    ]
