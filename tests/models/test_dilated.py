"""Graphs whose widely dilated convolutions are cut in three, against the graphs as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from benchmarks.measures import map_image
from scasnet_qgis import paths
from scasnet_qgis.core.augmentation import Augmentation
from scasnet_qgis.core.errors import Cancelled
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import SIZE_STEP
from scasnet_qgis.models import dilated, opening
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.for_processor import ProcessorModel, for_processor
from scasnet_qgis.models.onnx_file import ModelInfo, inspect
from scasnet_qgis.models.scores import softmax
from scasnet_qgis.models.shapes import probe

from .tiny_models import save

DEMO = paths.resources() / "demo" / "dubai.tif"
RANDOM = np.random.default_rng(11)
WIDE = 49 * SIZE_STEP  # pixels: the least that a dilation of 24 can be cut in


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
    assert edited.cut
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
    assert not for_processor(paths.default_model(), 12 * SIZE_STEP).cut
    assert for_processor(paths.default_model(), 13 * SIZE_STEP).cut
    assert not for_processor(paths.default_model()).cut


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
    edited = for_processor(path, cols * SIZE_STEP)
    assert edited.cut
    # What looks at one pixel is cut with it, up to the first layer of another kind.
    pointwise = [*layers, "Sigmoid"].index("Sigmoid")
    wanted = ["Slice", "Slice", *["Conv", *layers[:pointwise]] * 3, "Concat", *layers[pointwise:]]
    assert operators(edited.content) == wanted
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
    assert not for_processor(model(tmp_path / "a.onnx", nodes, constants), 8000).cut


def test_padding_that_is_left_to_the_program_stays(tmp_path: Path) -> None:
    node = helper.make_node(
        "Conv", ["image", "w"], ["scores"], auto_pad="SAME_UPPER", dilations=[6, 6]
    )
    path = model(tmp_path / "a.onnx", [node], {"w": weights(3, 3, 3, 3)})
    assert not for_processor(path, 8000).cut


def test_half_precision_stays(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=10),
        conv("half", "out"),
        helper.make_node("Cast", ["out"], ["scores"], to=1),
    ]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3).astype(np.float16)})
    assert not for_processor(path, 8000).cut


def test_weights_stored_as_a_list_stay(tmp_path: Path) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    loaded = onnx.load(str(path))
    values = numpy_helper.to_array(loaded.graph.initializer[0])
    tensor = helper.make_tensor("w", 1, values.shape, values.ravel().tolist())
    loaded.graph.initializer[0].CopyFrom(tensor)
    onnx.save(loaded, str(path))
    assert not for_processor(path, 8000).cut


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


def test_outputs_are_not_cut(tmp_path: Path) -> None:
    """What the graph gives out in the middle of a chain is there afterwards, too."""
    nodes = [conv("image", "seen"), helper.make_node("Relu", ["seen"], ["scores"])]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})
    loaded = onnx.load(str(path))
    loaded.graph.output.append(helper.make_tensor_value_info("seen", 1, None))
    onnx.save(loaded, str(path))
    content = for_processor(path, 8000).content
    assert operators(content).count("Relu") == 1
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(run(content, image), run(str(path), image), atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "taken"),
    [
        (helper.make_node("Conv", ["seen", "p"], ["scores"], pads=[1] * 4), (2, 3, 1, 1)),
        (helper.make_node("Conv", ["seen", "p"], ["scores"], strides=[2, 2]), (2, 3, 1, 1)),
        (helper.make_node("Conv", ["seen", "p"], ["scores"], auto_pad="VALID"), (2, 3, 1, 1)),
        (helper.make_node("Conv", ["seen", "p"], ["scores"], pads=[0, 1, 0, 1]), (2, 3, 1, 3)),
        (helper.make_node("LeakyRelu", ["seen"], ["scores"]), (1,)),
    ],
    ids=["padded", "reducing", "padded by the program", "three columns", "another kind"],
)
def test_layers_of_other_kinds_are_not_cut(
    tmp_path: Path, layer: onnx.NodeProto, taken: tuple[int, ...]
) -> None:
    constants = {"w": weights(3, 3, 3, 3), "p": weights(*taken)}
    path = model(tmp_path / "a.onnx", [conv("image", "seen"), layer], constants)
    content = for_processor(path, 8000).content
    assert operators(content)[-2:] == ["Concat", layer.op_type]
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(run(content, image), run(str(path), image), atol=1e-4)


def test_pointwise_layer_in_groups(tmp_path: Path) -> None:
    layer = helper.make_node("Conv", ["seen", "p"], ["scores"], group=3)
    constants = {"w": weights(6, 3, 3, 3), "p": weights(9, 2, 1, 1)}
    path = model(tmp_path / "a.onnx", [conv("image", "seen"), layer], constants)
    content = for_processor(path, 8000).content
    assert operators(content)[-1] == "Concat"
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(run(content, image), run(str(path), image), atol=1e-4)


def test_softmax_of_one_channel_stays_where_the_rest_is_cut(tmp_path: Path) -> None:
    nodes = [conv("image", "seen"), helper.make_node("Softmax", ["seen"], ["scores"], axis=1)]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(1, 3, 3, 3)})
    edited = for_processor(path, 8000, keep_end=True)
    assert (edited.cut, edited.open_end) == (True, False)
    assert operators(edited.content)[-1] == "Softmax"
    assert operators(for_processor(path, 8000).content)[-1] == "Identity"


@pytest.mark.parametrize(
    "name", ["scasnet_cut_", "scasnet_cut_0_left", "scasnet_cut_" + "_" * 10**6]
)
def test_names_that_are_taken(tmp_path: Path, name: str) -> None:
    nodes = [conv("image", name), helper.make_node("Softmax", [name], ["scores"], axis=1)]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})
    edited = for_processor(path, 8000)
    assert (edited.cut, edited.open_end) == (False, True)


def test_operators_with_another_meaning(tmp_path: Path) -> None:
    nodes = [conv("image", "seen"), helper.make_node("Softmax", ["seen"], ["scores"], axis=1)]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})
    for domain, changed in (("com.example", True), ("", False)):
        loaded = onnx.load(str(path))
        inner = helper.make_node("Neg", ["x"], ["y"])
        own = [helper.make_opsetid("", 17)]
        loaded.functions.append(helper.make_function(domain, "Slice", ["x"], ["y"], [inner], own))
        onnx.save(loaded, str(tmp_path / "b.onnx"))
        assert bool(for_processor(tmp_path / "b.onnx", 8000).content) is changed


def test_odd_way_of_writing_costs_only_what_it_is_about(tmp_path: Path) -> None:
    """A length in more bytes than it needs cannot be found from behind."""
    nodes = [conv("image", "seen"), helper.make_node("Softmax", ["seen"], ["scores"], axis=1)]
    loaded = onnx.load(str(model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})))
    first = loaded.graph.node[0].SerializeToString()
    del loaded.graph.node[0]
    odd = b"\x0a" + bytes([len(first) | 0x80, 0]) + first
    graph = odd + loaded.graph.SerializeToString()
    loaded.ClearField("graph")
    size = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])
    (tmp_path / "a.onnx").write_bytes(loaded.SerializeToString() + b"\x3a" + size + graph)
    edited = for_processor(tmp_path / "a.onnx", 8000)
    assert (edited.cut, edited.open_end) == (False, True)
    image = RANDOM.random((1, 3, 20, 30), dtype=np.float32)
    found = softmax(run(edited.content, image))
    np.testing.assert_allclose(found, run(str(tmp_path / "a.onnx"), image), atol=1e-5)


def test_large_networks_are_not_made_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    added = 2 * 3 * 3 * 3 * 2 * 4  # two columns of three, twice, of four bytes each
    monkeypatch.setattr(dilated, "MOST_BYTES", added)
    assert for_processor(path, 8000).cut
    monkeypatch.setattr(dilated, "MOST_BYTES", added - 1)
    assert not for_processor(path, 8000).cut


def test_many_convolutions_stay(tmp_path: Path) -> None:
    """Each is six nodes afterwards, which ONNX Runtime would open for minutes."""
    for count, cut in ((dilated.MOST_CONVOLUTIONS, True), (dilated.MOST_CONVOLUTIONS + 1, False)):
        names = [f"w{index}" for index in range(count)]
        nodes = [conv("image", f"x{index}", name=name) for index, name in enumerate(names)]
        nodes.append(helper.make_node("Sum", [f"x{index}" for index in range(count)], ["scores"]))
        path = model(tmp_path / "a.onnx", nodes, {name: weights(1, 3, 3, 3) for name in names})
        assert for_processor(path, 8000).cut is cut


def test_long_chains_are_cut_in_part(tmp_path: Path) -> None:
    layers = [helper.make_node("Relu", [f"x{each}"], [f"x{each + 1}"]) for each in range(20)]
    layers[-1].output[0] = "scores"
    path = model(tmp_path / "a.onnx", [conv("image", "x0"), *layers], {"w": weights(3, 3, 3, 3)})
    found = operators(for_processor(path, 8000).content)
    assert found.index("Concat") == 2 + 3 * 9
    assert found.count("Relu") == 3 * 8 + 12


def test_an_attribute_without_its_number_stays(tmp_path: Path) -> None:
    layer = helper.make_node("Conv", ["seen", "p"], ["scores"], group=1)
    constants = {"w": weights(3, 3, 3, 3), "p": weights(3, 3, 1, 1)}
    path = model(tmp_path / "a.onnx", [conv("image", "seen", group=1), layer], constants)
    assert operators(for_processor(path, 8000).content)[-1] == "Concat"
    for place, wanted in ((1, "Conv"), (0, "")):
        loaded = onnx.load(str(path))
        group = next(each for each in loaded.graph.node[place].attribute if each.name == "group")
        group.ClearField("i")
        onnx.save(loaded, str(tmp_path / "b.onnx"))
        content = for_processor(tmp_path / "b.onnx", 8000).content
        assert (operators(content)[-1] if content else "") == wanted


@pytest.mark.parametrize("what", ["weights", "operators"])
def test_what_is_there_twice_stays(tmp_path: Path, what: str) -> None:
    """ONNX Runtime would take the one, and what is put in the other."""
    nodes = [conv("image", "seen"), helper.make_node("Softmax", ["seen"], ["scores"], axis=1)]
    path = model(tmp_path / "a.onnx", nodes, {"w": weights(3, 3, 3, 3)})
    edited = for_processor(path, 8000)
    assert (edited.cut, edited.open_end) == (True, True)
    loaded = onnx.load(str(path))
    if what == "weights":
        loaded.graph.initializer.append(numpy_helper.from_array(weights(3, 3, 3, 3), "w"))
    else:
        loaded.opset_import.append(helper.make_opsetid("ai.onnx", 12))
    onnx.save(loaded, str(path))
    assert for_processor(path, 8000) == ProcessorModel()


def test_narrower_tiles_fail_and_are_never_computed_wrongly(tmp_path: Path) -> None:
    path = model(tmp_path / "a.onnx", [conv("image", "scores")], {"w": weights(3, 3, 3, 3)})
    content = for_processor(path, 13 * SIZE_STEP).content
    for cols in range(1, 16):
        image = RANDOM.random((1, 3, 9, cols), dtype=np.float32)
        wanted = run(str(path), image)
        try:
            found = run(content, image)
        except Exception:  # ONNX Runtime's exceptions have no common class
            assert cols < 13
            continue
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_damaged_files_end_in_a_model_or_a_value_error(tmp_path: Path) -> None:
    nodes = [
        conv("image", "seen"),
        helper.make_node("Relu", ["seen"], ["x"]),
        helper.make_node("Conv", ["x", "p"], ["scores"], strides=[1, 1]),
    ]
    constants = {"w": np.ones((1, 1, 1, 3), np.float32), "p": np.ones((1, 1, 1, 1), np.float32)}
    whole = model(tmp_path / "whole.onnx", nodes, constants).read_bytes()
    assert for_processor(tmp_path / "whole.onnx", 8000).cut
    path, cut = tmp_path / "damaged.onnx", 0
    for place in range(len(whole)):
        for byte in (0x00, 0x08, 0x0A, 0x12, 0x1A, 0x22, 0x32, 0x4A, 0x7F, 0xFF, whole[place] ^ 1):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                edited = for_processor(path, 8000)
            except ValueError:
                continue
            cut += edited.cut
            assert len(edited.content) < len(whole) + 2_000
    assert cut > len(whole)  # most bytes belong to names and values


class Watch:
    """The files that were edited for a processor, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[tuple[int, ProcessorModel]] = []
        monkeypatch.setattr(opening, "for_processor", self._edit)

    def _edit(self, path: Path, least_width: int, *, keep_end: bool) -> ProcessorModel:
        edited = for_processor(path, least_width, keep_end=keep_end)
        self.found.append((least_width, edited))
        return edited


def scores(info: ModelInfo, size: tuple[int, int], least_width: int, batch: int = 1) -> np.ndarray:
    """What a backend gives for made-up tiles."""
    image = np.random.default_rng(2).random((batch, 3, *size), dtype=np.float32)
    with OnnxBackend(info, "cpu", 1, size, least_width=least_width) as backend:
        assert backend.warnings == []
        return backend.predict(image)


def test_backend_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, info, size = Watch(monkeypatch), inspect(paths.default_model()), (64, 416)
    plain, cut = (scores(info, size, width) for width in (0, size[1]))
    assert [edited.cut for _, edited in watch.found] == [False, True]
    np.testing.assert_allclose(cut, plain, atol=1e-5)


def scasnet(path: Path, stride: int, dilation: int, size: Sequence[int | str]) -> ModelInfo:
    """A model that calls itself ScasNet, and makes ``stride`` pixels a column."""
    nodes = [
        helper.make_node(
            "MaxPool", ["image"], ["small"], kernel_shape=[stride] * 2, strides=[stride] * 2
        ),
        conv("small", "seen", dilation),
        helper.make_node("Resize", ["seen", "", "scales"], ["scores"]),
    ]
    scales = np.array([1, 1, stride, stride], dtype=np.float32)
    constants = {"w": weights(2, 3, 3, 3), "scales": scales}
    metadata = {"class_names": '{"0": "water", "1": "forest"}'}
    shape = {"image": ["n", 3, *size]}
    info = inspect(save(path, nodes, constants, shape, ["n", 2, *size], metadata=metadata))
    return replace(info, card=replace(info.card, network="ScasNet VGG"))


def test_a_network_that_is_not_what_it_is_called_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its columns are fewer than those of ScasNet, so that the cut graph fails."""
    watch, info = Watch(monkeypatch), scasnet(tmp_path / "a.onnx", 32, 24, ("h", "w"))
    size = (64, 416)
    plain, found = (scores(info, size, width) for width in (0, size[1]))
    assert [edited.cut for _, edited in watch.found] == [False, True, False]
    np.testing.assert_array_equal(found, plain)


def test_a_cut_graph_is_tried_with_the_narrowest_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widest one it could compute; what comes first is what it is opened for."""
    watch, info = Watch(monkeypatch), scasnet(tmp_path / "a.onnx", 16, 6, ("h", "w"))
    size = (256, 256)
    with OnnxBackend(info, "cpu", 1, size, least_width=128) as backend:
        assert [edited.cut for _, edited in watch.found] == [True, False]
        assert not backend.cut
        assert backend.predict(np.zeros((1, 3, 128, 128), np.float32)).shape == (1, 2, 128, 128)


def test_fixed_sizes_are_wide_enough_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    for cols in (104, 96):
        info = scasnet(tmp_path / f"{cols}.onnx", 8, 6, (64, cols))
        assert scores(info, (64, cols), 0).shape == (1, 2, 64, cols)
    assert [(width, each.cut) for width, each in watch.found] == [(104, True), (96, False)]


def test_networks_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, info = Watch(monkeypatch), scasnet(tmp_path / "a.onnx", 8, 6, ("h", "w"))
    scores(info, (64, 416), 416)
    scores(replace(info, card=replace(info.card, network="")), (64, 416), 416)
    assert [(width, edited.cut) for width, edited in watch.found] == [(416, True), (0, False)]


def test_cancel_while_a_cut_graph_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unwanted(Progress):
        cancelled = True

    watch, info = Watch(monkeypatch), scasnet(tmp_path / "a.onnx", 8, 6, ("h", "w"))
    with pytest.raises(Cancelled):
        OnnxBackend(info, "cpu", 1, (64, 416), progress=Unwanted(), least_width=416)
    assert len(watch.found) == 1, "a cancelled run tries no other graph"


@pytest.mark.parametrize(
    ("tile", "least", "shape"),
    [((640, 640), 640, (96, 640)), ((64, 8000), 8000, (64, 8000)), ((32, 416), 416, (32, 416))],
)
def test_probe_is_no_larger_than_it_must_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tile: tuple[int, int],
    least: int,
    shape: tuple[int, int],
) -> None:
    seen = []

    def watched(name: str, session: Any, size: tuple[int, ...], *more: Any) -> np.ndarray:
        seen.append(size)
        return probe(name, session, size, *more)

    monkeypatch.setattr(opening, "probe", watched)
    info = scasnet(tmp_path / "a.onnx", 8, 6, ("h", "w"))
    with OnnxBackend(info, "cpu", 1, tile, least_width=least) as backend:
        assert backend.cut
    assert seen == [(1, 3, *shape)]


def test_map_says_how_narrow_tiles_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch)
    looks = Augmentation((0.5, 1.0), "full")
    result = map_image(DEMO, tmp_path / "map.tif", augmentation=looks, tile_size=256)
    plan = result.plan
    assert watch.found[-1][0] == looks.least_width((plan.vertical.size, plan.horizontal.size))
