"""Biases that make up for rounded weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from scasnet_qgis.training.export import precision as quantisation
from scasnet_qgis.training.export.onnx_graph import CHANNEL_MEAN, observe
from scasnet_qgis.training.export.precision import correct_biases

GROUPS = [1, 4]


def network(groups: int) -> onnx.ModelProto:
    """Six convolutions in a row; the last three in groups."""
    random = np.random.default_rng(11)
    nodes, constants, last, inputs = [], {}, "image", 4
    for index in range(6):
        parts = groups if index > 2 else 1
        kernel = random.standard_t(3, (8, inputs // parts, 3, 3)) / np.sqrt(9 * inputs / parts)
        constants[f"w{index}"] = kernel.astype(np.float32)
        constants[f"b{index}"] = random.standard_normal(8).astype(np.float32) * 0.1
        names = [last, f"w{index}", f"b{index}"]
        nodes.append(
            helper.make_node("Conv", names, [f"c{index}"], f"n{index}", pads=[1] * 4, group=parts)
        )
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"], f"a{index}"))
        last, inputs = f"r{index}", 8
    nodes.append(helper.make_node("Identity", [last], ["scores"], "end"))
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", bands, "h", "w"])
        for name, bands in (("image", 4), ("scores", 8))
    ]
    graph = helper.make_graph(
        nodes, "row", values[:1], values[1:],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tiles(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.random((1, 4, 40, 48)).astype(np.float32) for _ in range(4)]


def means(model: onnx.ModelProto, name: str) -> np.ndarray:
    found = observe(model, [(CHANNEL_MEAN, name)], tiles(2), "image")
    return np.mean([figures[0][0, :, 0, 0] for figures in found], axis=0)


@pytest.mark.parametrize("groups", GROUPS)
def test_the_mean_of_the_scores_comes_back(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    single = network(groups)
    corrected = quantisation.to_int8(single, tiles(1), "image")
    monkeypatch.setattr(quantisation, "correct_biases", lambda *_: None)
    plain = quantisation.to_int8(single, tiles(1), "image")
    exact = means(single, "scores")
    before, after = (np.abs(means(model, "scores") - exact).mean() for model in (plain, corrected))
    assert 0 < after < 0.6 * before


def test_only_biases_change() -> None:
    single = network(1)
    found = quantisation.to_int8(single, tiles(1), "image")
    again = onnx.ModelProto.FromString(found.SerializeToString())
    correct_biases(again, single, tiles(1), "image")
    changed = [
        before.name
        for before, after in zip(found.graph.initializer, again.graph.initializer)
        if before != after
    ]
    assert changed
    assert all(name.startswith("b") for name in changed)
