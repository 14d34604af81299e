"""Graphs whose widely dilated convolutions are cut in three, against the graphs as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from scasnet_qgis import paths
from scasnet_qgis.models import dilated
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.for_processor import STRIDE, for_processor
from scasnet_qgis.models.onnx_file import inspect
from scasnet_qgis.models.scores import softmax

from .tiny_models import save

RANDOM = np.random.default_rng(11)
WIDE = 49 * STRIDE  # pixels: the least that a dilation of 24 can be cut in


def run(model: bytes | str, image: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def weights(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def conv(
    into: str, out: str, dilation: int = 6, name: str = "w", bias: str = "", **more: Any
) -> onnx.NodeProto:
    """A convolution by 3 x 3 that keeps the size of an image."""
    pads, dilations = more.pop("pads", [dilation] * 4), [dilation] * 2
    inputs = [into, name, *([bias] if bias else [])]
    return helper.make_node("Conv", inputs, [out], pads=pads, dilations=dilations, **more)


def model(
    path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], bands: int = 3
) -> Path:
    """From "image" [n, bands, h, w] to "scores"."""
    return save(path, nodes, constants, {"image": ["n", bands, "h", "w"]}, None)


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(content).graph.node]


@pytest.mark.parametrize(
    ("rows", "cols", "cuts"),
    [(96, WIDE, 4), (72, 408, 4), (64, 640, 4), (392, 304, 3), (80, 120, 1)],
)
def test_shipped_model_gives_the_same_scores(rows: int, cols: int, cuts: int) -> None:
    path = paths.default_model()
    edited = for_processor(path, cols)
    assert edited.wide
    assert edited.open_end
    assert operators(edited.content).count("Slice") - operators(path.read_bytes()).count(
        "Slice"
    ) == (2 * cuts)
    image = RANDOM.random((1, 3, rows, cols), dtype=np.float32)
    found, wanted = softmax(run(edited.content, image)), run(str(path), image)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_edited_graph_is_a_good_one_and_serves_wider_tiles() -> None:
    path = paths.default_model()
    content = for_processor(path, WIDE).content
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    image = RANDOM.random((2, 3, 72, WIDE + 200), dtype=np.float32)
    found = softmax(run(content, image))
    np.testing.assert_allclose(found, run(str(path), image), atol=1e-5)


def test_narrow_tiles_leave_the_graph_alone() -> None:
    assert not for_processor(paths.default_model(), 12 * STRIDE).wide
    assert for_processor(paths.default_model(), 13 * STRIDE).wide
    assert not for_processor(paths.default_model()).wide


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_such_convolution_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    draw = data.draw
    dilation = draw(st.integers(6, 9))
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(2 * dilation + 1, 4 * dilation))
    group, tall = draw(st.sampled_from((1, 2))), draw(st.sampled_from((1, 3)))
    across = dilation * (tall // 2)
    layers = draw(st.lists(st.sampled_from(("Relu", "Conv", "Sigmoid")), max_size=4))
    bias = draw(st.booleans())
    constants = {"w": weights(6, 4 // group, tall, 3), "p": weights(6, 6, 1, 1), "b": weights(6)}
    nodes = [
        helper.make_node(
            "Conv",
            ["image", "w", *(["b"] if bias else [])],
            ["x0"],
            pads=[across, dilation, across, dilation],
            dilations=[dilation, dilation],
            group=group,
        )
    ]
    for index, layer in enumerate(layers):
        inputs = [f"x{index}", *(["p", "b"] if layer == "Conv" else [])]
        nodes.append(helper.make_node(layer, inputs, [f"x{index + 1}"]))
    nodes[-1].output[0] = "scores"
    path = model(tmp_path_factory.getbasetemp() / "a.onnx", nodes, constants, bands=4)
    edited = for_processor(path, cols * STRIDE)
    assert edited.wide
    # What looks at one pixel is cut with it, up to the first layer of another kind.
    pointwise = [*layers, "Sigmoid"].index("Sigmoid")
    wanted = ["Slice", "Conv", *layers[:pointwise], "Conv", *layers[:pointwise], "Slice", "Conv"]
    assert operators(edited.content)[: len(wanted)] == wanted
    image = RANDOM.standard_normal((2, 4, rows, cols)).astype(np.float32)
    np.testing.assert_allclose(run(edited.content, image), run(str(path), image), atol=1e-3)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([conv("image", "scores", 5)], {"w": weights(3, 3, 3, 3)}),
        ([conv("image", "scores", strides=[1, 2])], {"w": weights(3, 3, 3, 3)}),
        ([conv("image", "scores", pads=[6, 6, 6, 5])], {"w": weights(3, 3, 3, 3)}),
        ([conv("image", "scores", pads=[12] * 4)], {"w": weights(3, 3, 5, 5)}),
        (
            [conv("image", "a"), conv("a", "scores")],
            {"w": weights(3, 3, 3, 3)},
        ),
        (
            [helper.make_node("Relu", ["v"], ["w"]), conv("image", "scores")],
            {"v": weights(3, 3, 3, 3)},
        ),
    ],
    ids=["near", "reducing", "shrinking", "five columns", "shared weights", "computed weights"],
)
def test_other_convolutions_stay(
    tmp_path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> None:
    assert not for_processor(model(tmp_path / "a.onnx", nodes, constants), 8000).wide


def test_padding_that_is_left_to_the_program_stays(tmp_path: Path) -> None:
    node = helper.make_node(
        "Conv", ["image", "w"], ["scores"], auto_pad="SAME_UPPER", dilations=[6, 6]
    )
    path = model(tmp_path / "a.onnx", [node], {"w": weights(3, 3, 3, 3)})
    assert not for_processor(path, 8000).wide


def test_half_precision_stays(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=10),
        conv("half", "out"),
        helper.make_node("Cast", ["out"], ["scores"], to=1),
    ]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3).astype(np.float16)})
    assert not for_processor(path, 8000).wide


def test_weights_stored_as_a_list_stay(tmp_path: Path) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    loaded = onnx.load(str(path))
    values = numpy_helper.to_array(loaded.graph.initializer[0])
    tensor = helper.make_tensor("w", 1, values.shape, values.ravel().tolist())
    loaded.graph.initializer[0].CopyFrom(tensor)
    onnx.save(loaded, str(path))
    assert not for_processor(path, 8000).wide


def test_layers_that_others_look_at_too_are_not_cut(tmp_path: Path) -> None:
    nodes = [
        conv("image", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["scores"]),
    ]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})
    content = for_processor(path, 8000).content
    assert operators(content).count("Relu") == 1
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(run(content, image), run(str(path), image), atol=1e-4)


def test_names_that_are_taken(tmp_path: Path) -> None:
    nodes = [conv("image", "scasnet_cut_0_left"), conv("scasnet_cut_0_left", "scores", name="v")]
    constants = {"w": weights(3, 3, 3, 3), "v": weights(3, 3, 3, 3)}
    path = model(tmp_path / "a.onnx", nodes, constants)
    content = for_processor(path, 8000).content
    assert operators(content).count("Concat") == 2
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(run(content, image), run(str(path), image), atol=1e-3)


def test_large_networks_are_not_made_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    added = 2 * 3 * 3 * 3 * 2 * 4  # two columns of three, twice, of four bytes each
    monkeypatch.setattr(dilated, "MOST_BYTES", added)
    assert for_processor(path, 8000).wide
    monkeypatch.setattr(dilated, "MOST_BYTES", added - 1)
    assert not for_processor(path, 8000).wide


def test_narrower_tiles_fail_and_are_never_computed_wrongly(tmp_path: Path) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    content = for_processor(path, 13 * STRIDE).content
    for cols in range(1, 16):
        image = RANDOM.random((1, 3, 9, cols), dtype=np.float32)
        wanted = run(str(path), image)
        try:
            found = run(content, image)
        except Exception:  # ONNX Runtime's exceptions have no common class
            assert cols < 13
            continue
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_damaged_files_end_in_a_model_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    nodes, constants = [conv("image", "scores")], {"w": weights(2, 3, 3, 3)}
    whole = model(folder / "whole.onnx", nodes, constants).read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(whole)] = byte
    (folder / "damaged.onnx").write_bytes(damaged)
    try:
        edited = for_processor(folder / "damaged.onnx", 8000)
    except ValueError:
        return
    assert len(edited.content) < 5 * len(whole)


def opened(path: Path, columns: int, size: tuple[int, int]) -> tuple[list[str], np.ndarray]:
    """Warnings of a backend, and its scores of a made-up tile."""
    image = np.random.default_rng(2).random((1, 3, *size), dtype=np.float32)
    with OnnxBackend(inspect(path), "cpu", 1, size, columns=columns) as backend:
        return backend.warnings, backend.predict(image)


def test_backend_gives_the_same_scores() -> None:
    path, size = paths.default_model(), (64, 416)
    warnings, plain = opened(path, 0, size)
    assert warnings == []
    warnings, cut = opened(path, size[1], size)
    assert warnings == []
    assert not np.array_equal(plain, cut)  # sums in another order: it was cut
    np.testing.assert_allclose(cut, plain, atol=1e-5)


def test_a_network_that_is_not_what_it_is_called_runs_as_it_is(tmp_path: Path) -> None:
    """Its columns are fewer than those of ScasNet, so that the cut graph fails."""
    nodes = [
        helper.make_node("MaxPool", ["image"], ["small"], kernel_shape=[32, 32], strides=[32, 32]),
        conv("small", "seen", 24),
        helper.make_node("Resize", ["seen", "", "scales"], ["scores"]),
    ]
    scales = np.array([1, 1, 32, 32], dtype=np.float32)
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(2, 3, 3, 3), "scales": scales})
    assert for_processor(path, WIDE + 24).wide
    plain, cut = (opened_as_scasnet(path, each) for each in (0, WIDE + 24))
    np.testing.assert_array_equal(cut, plain)


def opened_as_scasnet(path: Path, columns: int) -> np.ndarray:
    loaded = onnx.load(str(path))
    classes = '{"0": "water", "1": "forest"}'
    helper.set_model_props(loaded, {"class_names": classes})
    onnx.save(loaded, str(path))
    info = inspect(path)
    object.__setattr__(info.card, "network", "ScasNet VGG")
    size = (64, WIDE + 24)
    image = np.random.default_rng(2).random((1, 3, *size), dtype=np.float32)
    with OnnxBackend(info, "cpu", 1, size, columns=columns) as backend:
        return backend.predict(image)
