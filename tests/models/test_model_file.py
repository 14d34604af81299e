"""Inspecting model files: what suits, and one clear sentence for what does not."""

from __future__ import annotations

import builtins
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from scasnet_qgis.common.errors import DependencyError, ModelError
from scasnet_qgis.models import onnx_proto
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models as tiny


def test_a_model_of_free_size(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", bands=4, metadata={"class_names": tiny.CLASS_NAMES})
    info = inspect(path)
    assert (info.bands, info.classes, info.sigmoid, info.margin) == (4, 3, False, 0)
    assert (info.fixed_size, info.fixed_batch) == (None, None)
    assert (info.input_name, info.output_name, info.input_type) == ("image", "scores", "float32")
    assert info.card.class_names == ["water", "forest", "town"]
    assert info.card.bands == ("red", "green", "blue", "nir")
    assert info.card.name == "m"


def test_a_model_of_fixed_size_and_batch(tmp_path: Path) -> None:
    path = tiny.pixelwise(
        tmp_path / "m.onnx", batch=4, size=(64, 96), metadata={"tiles_overlap": "25"}
    )
    info = inspect(str(path))
    assert (info.fixed_size, info.fixed_batch) == ((64, 96), 4)
    assert (info.card.tile_size, info.card.overlap) == (64, 16)


def test_one_channel_makes_two_classes(tmp_path: Path) -> None:
    path = tiny.pixelwise(
        tmp_path / "m.onnx", classes=1, activation="Sigmoid", metadata={"names": "{0: 'road'}"}
    )
    info = inspect(path)
    assert (info.classes, info.sigmoid) == (2, True)
    assert info.card.class_names == ["background", "road"]


@pytest.mark.parametrize("size", [(96, 96), ("h", "w")])
def test_a_smaller_output(tmp_path: Path, size: tuple[Any, Any]) -> None:
    assert inspect(tiny.pixelwise(tmp_path / "m.onnx", size=size, margin=16)).margin == 16


def test_what_the_file_leaves_open_is_found_by_running_it(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", classes=5, batch=2, output=None)
    info = inspect(path)
    assert (info.classes, info.margin, info.fixed_batch) == (5, 0, 2)


def test_half_precision_input(tmp_path: Path) -> None:
    assert inspect(tiny.pixelwise(tmp_path / "m.onnx", kind="float16")).input_type == "float16"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", classes=3)
    first = inspect(path)
    assert inspect(path) is first
    tiny.pixelwise(path, classes=5)
    os.utime(path, ns=(1, 1))
    assert inspect(path).classes == 5


MAKERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _path: None, "does not exist"),
    "folder": (lambda path: path.mkdir(), "not a file"),
    "empty": (lambda path: path.write_bytes(b""), "not an ONNX model"),
    "text": (lambda path: path.write_bytes(b"no model at all\n" * 50), "not an ONNX model"),
    "half": (
        lambda path: path.write_bytes(tiny.pixelwise(path).read_bytes()[:150]),
        "not an ONNX model",
    ),
    "two inputs": (tiny.two_inputs, "has 2 inputs and 1 outputs"),
    "flat input": (
        lambda path: tiny.save(
            path, [tiny.helper.make_node("Relu", ["x"], ["scores"])], {}, {"x": ["n", 9]}, ["n", 9]
        ),
        "does not take an image",
    ),
    "detector": (lambda path: tiny.reshaped(path, [1, 288, 6]), "not a segmentation model"),
    "classifier": (lambda path: tiny.reshaped(path, [1, 1728]), "not a segmentation model"),
    "says detector": (
        lambda path: tiny.pixelwise(path, metadata={"model_type": '"Detector"'}),
        "is a detector, not",
    ),
    "regressor": (
        lambda path: tiny.pixelwise(path, classes=1, metadata={"model_type": "Regressor"}),
        "is a regressor, not",
    ),
    "class numbers": (tiny.class_numbers, "outputs class numbers"),
    "bands last": (lambda path: tiny.bands_last(path, input_too=True), "has its bands last"),
    "classes last": (lambda path: tiny.bands_last(path, input_too=False), "has its classes last"),
    "uneven": (tiny.uneven, "is not centred in the tile"),
    "coarse": (lambda path: tiny.coarse(path, 4, (64, 64)), "coarser map"),
    "coarse and free": (lambda path: tiny.coarse(path, 2, ("h", "w")), "coarser map"),
    "too many classes": (lambda path: tiny.pixelwise(path, classes=300), "at most 254"),
    "too much text": (
        lambda path: tiny.pixelwise(path, metadata={"class_names": json.dumps("x" * 2_000_000)}),
        "metadata of the model file",
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_does_not_suit_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    make, words = MAKERS[kind]
    path = tmp_path / "model.onnx"
    make(path)
    with pytest.raises(ModelError, match=words) as caught:
        inspect(path)
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 250 + len(str(path))


@pytest.mark.parametrize("field", ["ir_version", "opset"])
def test_a_file_from_the_future_asks_for_a_newer_onnxruntime(tmp_path: Path, field: str) -> None:
    import onnx

    path = tiny.pixelwise(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    if field == "opset":
        model.opset_import[0].version = 99
    else:
        model.ir_version = 99
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="newer onnxruntime"):
        inspect(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("none", name="onnxruntime"), "is missing"),
        (ModuleNotFoundError("none", name="numpy.core"), "does not load"),
        (ImportError("DLL load failed while importing"), "does not load"),
    ],
)
def test_a_missing_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError, words: str
) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "onnxruntime":
            raise error
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=words):
        inspect(path)


def test_a_missing_protobuf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    onnx_proto._classes.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(DependencyError, match="protobuf"):
        inspect(path)
