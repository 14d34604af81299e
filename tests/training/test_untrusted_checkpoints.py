"""Checkpoints and weights from anywhere: used, or refused in one sentence."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scasnet_qgis.common.errors import ModelError, ScasNetError, TrainingError
from scasnet_qgis.common.model_card import ModelCard, ModelClass, to_metadata
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.caffe.weights import read_encoder
from scasnet_qgis.training.checkpoint import STATE, TENSORS, Checkpoint
from scasnet_qgis.training.initialisation import Trained, read_checkpoint, read_model, take_over
from tests.models.tiny_models import pixelwise

STATED = {
    "network": {"variant": "vgg", "bands": 3, "classes": 2, "width": 0.0625},
    "bands": ["r", "g", "b"],
    "classes": ["water", "forest"],
}


def tensors(header: object, content: bytes = b"", length: int | None = None) -> bytes:
    """A file of safetensors whose header may claim anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def entry(shape: list[int], start: int, stop: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


TENSOR_FILES = {
    "empty": b"",
    "text": b"no tensors at all",
    "a header without end": tensors(b"{}", length=2**63),
    "a header of 4 GiB": tensors(b"{}", length=2**32),
    "no JSON": tensors(b"\x80\x04."),
    "deep": tensors(b"[" * 100_000),
    "a list": tensors([1]),
    "other types": tensors({"a": {"dtype": 7, "shape": "x", "data_offsets": None}}),
    "more than there is": tensors({"a": entry([2**20, 2**20], 0, 2**42)}),
    "beyond 64 bits": tensors({"a": entry([2**32, 2**32], 0, 0)}),
    "negative": tensors({"a": entry([-1], 0, 4)}, b"1234"),
    "backwards": tensors({"a": entry([1], 4, 0)}, b"1234"),
    "one over the other": tensors({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, b"123456"),
    "cut": tensors({"a": entry([2], 0, 8)}, b"1234"),
    "unknown numbers": tensors({"a": entry([1], 0, 4, "F99")}, b"1234"),
}


def checkpoint(folder: Path, *, state: object = STATED, content: bytes = tensors({})) -> Path:
    folder.mkdir(exist_ok=True)
    text = state if isinstance(state, bytes) else json.dumps(state).encode()
    (folder / STATE).write_bytes(text)
    (folder / TENSORS).write_bytes(content)
    return folder


def refusal(read: Callable[[], object], kind: type[ScasNetError]) -> str:
    """The sentence; what was said takes next to no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(kind) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.mark.fault(
    "a checkpoint whose tensors are damaged, gigantic or none", "refused in one sentence"
)
@pytest.mark.parametrize("kind", TENSOR_FILES)
def test_tensors_that_are_none(tmp_path: Path, kind: str) -> None:
    folder = checkpoint(tmp_path / "best", content=TENSOR_FILES[kind])
    assert "is damaged" in refusal(lambda: Checkpoint.load(folder), TrainingError)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(TENSOR_FILES[kind])
    assert "not an encoder" in refusal(lambda: read_encoder(path), ModelError)


@pytest.mark.parametrize(
    "state", [b"", b"\xff", b"[" * 100_000, b"[]", b'"network"', b"7", b" " * 9_000_000]
)
def test_a_state_that_is_none(tmp_path: Path, state: bytes) -> None:
    folder = checkpoint(tmp_path / "best", state=state)
    assert "is damaged" in refusal(lambda: read_checkpoint(folder), TrainingError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", [STATE, TENSORS])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = checkpoint(tmp_path / "best")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "is damaged" in refusal(lambda: Checkpoint.load(folder), TrainingError)
    os.mkfifo(tmp_path / "encoder.safetensors")
    assert "not an encoder" in refusal(
        lambda: read_encoder(tmp_path / "encoder.safetensors"), ModelError
    )


@pytest.mark.parametrize(
    "change",
    [
        {"network": 7},
        {"network": {"variant": "vgg", "depth": 7}},
        {"network": {**STATED["network"], "bands": "three"}},
        {"network": {**STATED["network"], "width": None}},
        {"network": {**STATED["network"], "classes": 2**60}},
        {"bands": None},
        {"bands": ["r"]},
        {"classes": {}},
    ],
)
def test_a_state_of_other_types(tmp_path: Path, change: dict[str, object]) -> None:
    folder = checkpoint(tmp_path / "best", state={**STATED, **change})
    assert str(folder) in refusal(lambda: read_checkpoint(folder), TrainingError)


@pytest.mark.parametrize("damage", ["missing", "another shape", "no classifier"])
def test_weights_of_another_network_than_they_say(damage: str) -> None:
    config = ScasNetConfig("vgg", 3, 2, 0.0625)
    network = ScasNet(config)
    weights = dict(network.state_dict())
    classifier = [key for key in weights if "conv6_funetuning_fpn" in key]
    if damage == "another shape":
        weights[classifier[0]] = torch.zeros(7)
    elif damage == "no classifier":
        weights = {key: tensor for key, tensor in weights.items() if key not in classifier}
    else:
        weights = {}
    start = Trained(config, weights, ("r", "g", "b"), ("water", "forest"))
    with pytest.raises(TrainingError, match="do not fit the network"):
        take_over(ScasNet(config), ["r", "g", "b"], ["water", "forest"], start)


@pytest.mark.fault("a checkpoint that claims a giant network", "refused in one sentence")
def test_a_card_that_claims_a_giant_network(tmp_path: Path) -> None:
    """A ResNet ScasNet of width 4 has a billion weights."""
    classes = tuple(ModelClass(name, "#112233") for name in ("a", "b", "c"))
    card = ModelCard("x", classes, network="ResNet ScasNet", width=4.0)
    path = pixelwise(tmp_path / "m.onnx", metadata=to_metadata(card))
    assert "not a ScasNet model" in refusal(lambda: read_model(path), ModelError)
