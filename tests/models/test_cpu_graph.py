"""A graph without its last softmax, against what the package onnx makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from scasnet_qgis import paths
from scasnet_qgis.models import cpu_graph
from scasnet_qgis.models.activations import softmax
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.cpu_graph import strip_softmax
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models as tiny
from tests.models.tiny_models import pixelwise, save

IMAGE = np.random.default_rng(3).random((2, 3, 70, 50), dtype=np.float32)


def run(model: bytes | str, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def test_shipped_model_gives_the_same_scores() -> None:
    path = paths.default_model()
    open_ended = run(strip_softmax(path), IMAGE)
    assert abs(open_ended.sum(axis=1) - 1).max() > 1
    np.testing.assert_allclose(softmax(open_ended), run(str(path), IMAGE), atol=1e-6)


def test_all_but_the_softmax_stays(tmp_path: Path) -> None:
    path = pixelwise(tmp_path / "a.onnx", classes=4, metadata={"scasnet_card": "x" * 300})
    model = onnx.load(str(path))
    edited = onnx.load_model_from_string(strip_softmax(path))
    onnx.checker.check_model(edited, full_check=True)
    last = next(node for node in model.graph.node if node.op_type == "Softmax")
    last.op_type = "Identity"
    del last.attribute[:]
    assert edited == model


def test_backend_computes_without_it(tmp_path: Path) -> None:
    path = pixelwise(tmp_path / "a.onnx", classes=4)
    with OnnxBackend(inspect(path), "cpu", threads=1, tile_size=(70, 50)) as backend:
        outputs = backend._opened().session.run(None, {"image": IMAGE})[0]
        found = backend.predict(IMAGE)
    np.testing.assert_allclose(outputs, tiny.logits(IMAGE, 4), atol=1e-3)
    np.testing.assert_allclose(found, tiny.softmax(tiny.logits(IMAGE, 4)), atol=1e-5)


def in_graph(path: Path, nodes: list[onnx.NodeProto], opset: int = 17) -> Path:
    """A model [n, 3, h, w] -> [n, 3, h, w] of these nodes, from "image" to "scores"."""
    shape = ["n", 3, "h", "w"]
    save(path, nodes, {}, {"image": shape}, shape)
    model = onnx.load(str(path))
    model.opset_import[0].version = opset
    onnx.save(model, str(path))
    return path


def node(kind: str, into: str, out: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, [into], [out], **attributes)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Relu", "image", "scores")],
        [node("Softmax", "image", "scores", axis=2)],
        [node("Softmax", "image", "scores")],  # along the columns
        [node("Softmax", "image", "scores", axis=1), node("Relu", "scores", "more")],
        [node("Softmax", "image", "a", axis=1), node("Sigmoid", "a", "scores")],
        [
            node("Softmax", "image", "a", axis=1),
            node("Identity", "a", "scores"),
            node("Relu", "a", "more"),
        ],
    ],
    ids=["none", "rows", "columns", "used again", "not the last", "used before the end"],
)
def test_other_ends_stay(tmp_path: Path, nodes: list[onnx.NodeProto]) -> None:
    assert strip_softmax(in_graph(tmp_path / "a.onnx", nodes)) == b""


def test_older_softmax_means_something_else(tmp_path: Path) -> None:
    nodes = [node("Softmax", "image", "scores", axis=1)]
    assert strip_softmax(in_graph(tmp_path / "new.onnx", nodes, 13))
    assert strip_softmax(in_graph(tmp_path / "old.onnx", nodes, 12)) == b""


def test_axis_may_count_from_the_end(tmp_path: Path) -> None:
    nodes = [node("Softmax", "image", "scores", axis=-3)]
    path = in_graph(tmp_path / "a.onnx", nodes)
    np.testing.assert_array_equal(run(strip_softmax(path), IMAGE), IMAGE)


def test_weights_elsewhere_stay_there(tmp_path: Path) -> None:
    path = pixelwise(tmp_path / "a.onnx", classes=200)
    onnx.save(
        onnx.load(str(path)), str(path), save_as_external_data=True, location="w", size_threshold=0
    )
    assert strip_softmax(path) == b""
    with OnnxBackend(inspect(path), "cpu", threads=1, tile_size=(70, 50)) as backend:
        wanted = tiny.softmax(tiny.logits(IMAGE, 200))
        np.testing.assert_allclose(backend.predict(IMAGE), wanted, atol=1e-5)


def test_softmax_of_another_maker_stays(tmp_path: Path) -> None:
    last = node("Softmax", "image", "scores", axis=1)
    last.domain = "com.example"
    path = in_graph(tmp_path / "a.onnx", [last])
    assert strip_softmax(path) == b""


def test_graph_inside_of_an_operator(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [node("Relu", "image", "b")], "g", [], [helper.make_tensor_value_info("b", 1, None)]
    )
    condition = helper.make_tensor("value", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=condition),
        helper.make_node("If", ["yes"], ["a"], then_branch=inner, else_branch=inner),
        node("Softmax", "a", "scores", axis=1),
    ]
    assert strip_softmax(in_graph(tmp_path / "a.onnx", nodes)) == b""


@pytest.mark.parametrize("what", ["weights", "operators"])
def test_what_is_there_twice_stays(tmp_path: Path, what: str) -> None:
    """ONNX Runtime would take the one, and what is put in the other."""
    path = pixelwise(tmp_path / "a.onnx", classes=4)
    assert strip_softmax(path)
    model = onnx.load(str(path))
    if what == "weights":
        model.graph.initializer.append(model.graph.initializer[0])
    else:
        model.opset_import.append(helper.make_opsetid("ai.onnx", 12))
    onnx.save(model, str(path))
    assert strip_softmax(path) == b""


def test_operators_with_another_meaning(tmp_path: Path) -> None:
    model = onnx.load(str(pixelwise(tmp_path / "a.onnx", classes=4)))
    inner, own = helper.make_node("Neg", ["x"], ["y"]), [helper.make_opsetid("", 17)]
    for domain, changed in (("com.example", True), ("", False)):
        del model.functions[:]
        model.functions.append(helper.make_function(domain, "Neg", ["x"], ["y"], [inner], own))
        onnx.save(model, str(tmp_path / "b.onnx"))
        assert bool(strip_softmax(tmp_path / "b.onnx")) is changed


def test_odd_way_of_writing(tmp_path: Path) -> None:
    """Lengths in more bytes than they need."""
    nodes = [node("Relu", "image", "a"), node("Softmax", "a", "scores", axis=1)]
    model = onnx.load(str(in_graph(tmp_path / "a.onnx", nodes)))
    last = model.graph.node.pop().SerializeToString()
    graph = model.graph.SerializeToString() + b"\x0a" + bytes([len(last) | 0x80, 0]) + last
    model.ClearField("graph")
    size = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString() + b"\x3a" + size + graph)
    np.testing.assert_array_equal(run(strip_softmax(tmp_path / "a.onnx"), IMAGE), IMAGE)


def test_large_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is edited it is in memory three times."""
    path = pixelwise(tmp_path / "a.onnx", classes=4)
    for limit, edited in ((0, True), (-1, False)):
        monkeypatch.setattr(cpu_graph, "MAX_EDITED", path.stat().st_size + limit)
        assert bool(strip_softmax(path)) is edited


def test_softmax_of_one_channel_stays(tmp_path: Path) -> None:
    """It makes ones of anything, which stand for the second of two classes."""
    path = pixelwise(tmp_path / "a.onnx", classes=1, activation="Softmax")
    assert strip_softmax(path)
    with OnnxBackend(inspect(path), "cpu", threads=1, tile_size=(70, 50)) as backend:
        assert backend._opened().session.run(None, {"image": IMAGE})[0].min() == 1


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_damaged_files_end_in_a_model_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = pixelwise(folder / "whole.onnx", classes=4).read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(whole)] = byte
    (folder / "damaged.onnx").write_bytes(damaged)
    try:
        edited = strip_softmax(folder / "damaged.onnx")
    except ValueError:
        return
    assert not edited or len(edited) < len(damaged) + 16


def test_probabilities_of_large_scores_and_of_read_only_ones() -> None:
    scores = (np.random.default_rng(5).standard_normal((2, 6, 75, 41)) * 90).astype(np.float32)
    wanted = tiny.softmax(scores.astype(np.float64))
    scores.flags.writeable = False
    np.testing.assert_allclose(softmax(scores), wanted, atol=1e-6)
    np.testing.assert_allclose(softmax(scores.astype(np.float16)), wanted, atol=0.05)
