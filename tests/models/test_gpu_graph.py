"""Models edited to take raw pixels and to give 8-bit scores, against the same without editing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.common.errors import Cancelled, ModelError
from scasnet_qgis.common.messages import Message
from scasnet_qgis.models import gpu_graph as gpu_graphs
from scasnet_qgis.models.activations import identity, normalise, softmax
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.gpu_graph import RawInput, gpu_graph
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.tiling.scaling import Scaling
from tests.models import tiny_models as tiny

LOW, HIGH = (10.0, 20.0, 30.0), (200.0, 180.0, 250.0)
DEEPNESS = {
    "standardization_mean": "[0.485, 0.456, 0.406]",
    "standardization_std": "[0.229, 0.224, 0.225]",
}
KINDS: dict[str, dict[str, Any]] = {
    "probabilities": {},
    "logits": {"activation": None},
    "a probability of its own for each class": {"activation": "Sigmoid"},
    "one channel": {"classes": 1, "activation": "Sigmoid"},
    "one channel of logits": {"classes": 1, "activation": None},
    "half precision": {"kind": "float16"},
    "half precision logits": {"kind": "float16", "activation": None},
    "standardised outside": {"metadata": DEEPNESS},
    "half precision, standardised outside": {"kind": "float16", "metadata": DEEPNESS},
    "a margin": {"margin": 4},
    "a fixed size and batch": {"size": (40, 56), "batch": 4},
}


def opened(path: Path, **options: Any) -> OnnxBackend:
    return OnnxBackend(inspect(path), "cpu", 1, (64, 64), **options)


def quick_session(content: bytes) -> Any:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def pixels(dtype: str, count: int = 3) -> np.ndarray:
    """Some lie beyond what becomes 0 and 1."""
    random = np.random.default_rng(2)
    return random.uniform(0, 255, (count, 3, 40, 56)).astype(dtype)


def scaled(raw: np.ndarray) -> np.ndarray:
    scaling = Scaling(LOW, HIGH, (0.0,) * 3, Message("", {}))
    return np.stack([scaling(image, None) for image in raw])


def check(found: np.ndarray, wanted: np.ndarray, steps: float = 0.51) -> None:
    """Whole numbers within ``steps`` of 255ths of the probabilities."""
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape
    assert np.abs(found - 255 * wanted).max() <= steps


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_gives_rounded_scores(tmp_path: Path, kind: str) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", **KINDS[kind])
    raw = pixels("uint8")
    pixel = RawInput("uint8", LOW, HIGH)
    with opened(path) as plain, opened(path, raw=pixel, eight_bit=True) as backend:
        assert (backend.takes_raw, backend.eight_bit) == (True, True)
        assert (plain.takes_raw, plain.eight_bit) == (False, False)
        wanted = plain.predict(scaled(raw))
        # Scaling in another order of steps moves what half precision rounds.
        check(backend.predict(raw), wanted, 2.5 if "half" in kind else 0.51)
        assert len(np.unique(wanted.argmax(axis=1))) > 1


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_model_gives_labels(tmp_path: Path, kind: str, eight_bit: bool) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", **KINDS[kind])
    image = scaled(pixels("uint8"))
    with opened(path) as plain, opened(path, eight_bit=eight_bit, labels=True) as backend:
        assert (backend.gives_labels, backend.eight_bit) == (True, eight_bit)
        scores, labels = plain.predict(image), backend.predict(image)
    assert labels.dtype == np.uint8
    assert labels.shape == (scores.shape[0], 1, *scores.shape[2:])
    np.testing.assert_array_equal(labels[:, 0], scores.argmax(axis=1) + 1)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "uint32", "float32", "float64"])
def test_every_type_of_raster_is_taken(tmp_path: Path, dtype: str) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    raw = (pixels("float64") - (128 if dtype == "int8" else 0)).astype(dtype)
    with opened(path) as plain, opened(path, raw=RawInput(dtype, LOW, HIGH), eight_bit=True) as it:
        assert it.takes_raw
        check(it.predict(raw), plain.predict(scaled(raw)))


def test_without_raw_pixels_the_input_stays(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", metadata=DEEPNESS)
    image = scaled(pixels("uint8"))
    with opened(path) as plain, opened(path, eight_bit=True) as backend:
        assert (backend.takes_raw, backend.eight_bit) == (False, True)
        check(backend.predict(image), plain.predict(image))


def test_a_band_without_range_is_black(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    raw = RawInput("uint8", (7.0,) * 3, (7.0,) * 3)
    with opened(path) as plain, opened(path, raw=raw, eight_bit=True) as backend:
        dark = np.full((1, 3, 8, 8), 7, dtype=np.uint8)
        check(backend.predict(dark), plain.predict(np.zeros((1, 3, 8, 8), dtype=np.float32)))


@pytest.mark.parametrize("opset", [11, 12, 13])
@pytest.mark.parametrize("activation", [softmax, normalise])
def test_older_operators_mean_the_same(
    tmp_path: Path, opset: int, activation: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", activation="Sigmoid")
    model = onnx.load(str(path))
    model.opset_import[0].version = opset
    onnx.save(model, str(path))
    info = inspect(path)
    edited = gpu_graph(info, None, activation)
    image = scaled(pixels("uint8"))
    session = quick_session(edited.content)
    found = session.run([edited.scores_name], {edited.input_name: image})[0]
    check(found, activation(tiny.sigmoid(tiny.logits(image, 3))))


def test_operators_that_are_too_old_are_left_alone(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    model.opset_import[0].version = 10
    onnx.save(model, str(path))
    with pytest.raises(ValueError, match="10"):
        gpu_graph(inspect(path), None, identity)


def test_names_that_are_taken_are_not_used_again(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "scasnet_constant_0"
    onnx.save(model, str(path))
    raw = pixels("uint8")
    pixel = RawInput("uint8", LOW, HIGH)
    with opened(path) as plain, opened(path, raw=pixel, eight_bit=True) as backend:
        assert backend.eight_bit
        check(backend.predict(raw), plain.predict(scaled(raw)))


def test_the_edited_graph_is_valid(tmp_path: Path) -> None:
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx", activation=None))
    edited = gpu_graph(info, RawInput("uint16", LOW, HIGH), softmax)
    onnx.checker.check_model(onnx.load_model_from_string(edited.content), full_check=True)
    assert edited.input_type == "uint16"


def test_what_cannot_be_edited_is_computed_as_it_is_and_said(tmp_path: Path) -> None:
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx"))
    with pytest.raises(ValueError, match="complex64"):
        gpu_graph(info, RawInput("complex64", LOW, HIGH), identity)
    with pytest.raises(ValueError, match="2 band"):
        gpu_graph(info, RawInput("uint8", LOW[:2], HIGH[:2]), identity)
    raw = RawInput("complex64", LOW, HIGH)
    with OnnxBackend(info, "cpu", 1, (64, 64), raw=raw, eight_bit=True) as backend:
        assert (backend.takes_raw, backend.eight_bit) == (False, False)
        assert any("single precision" in str(note) for note in backend.notes)
        assert backend.predict(scaled(pixels("uint8"))).dtype == np.float32


def test_the_package_onnx_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not among what a user installs to make maps."""
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with OnnxBackend(info, "cpu", 1, (64, 64), eight_bit=True) as backend:
        assert backend.eight_bit
        assert backend.warnings == []


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="w", size_threshold=0)
    image = scaled(pixels("uint8"))
    with opened(path) as plain, opened(path, eight_bit=True) as backend:
        assert backend.eight_bit
        check(backend.predict(image), plain.predict(image))


def test_large_files_are_computed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is edited it is in memory three times."""
    path = tiny.pixelwise(tmp_path / "m.onnx")
    monkeypatch.setattr(gpu_graphs, "MAX_EDITED", path.stat().st_size - 1)
    with opened(path, eight_bit=True) as backend:
        assert not backend.eight_bit
        assert any("single precision" in str(note) for note in backend.notes)


def test_scores_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    path = tiny.not_finite(tmp_path / "m.onnx")
    raw = RawInput("uint8", (0.0,) * 3, (255.0,) * 3)
    with opened(path, raw=raw, eight_bit=True) as backend:
        assert backend.eight_bit
        backend.predict(np.full((1, 3, 8, 8), 200, dtype=np.uint8))
    with opened(path, eight_bit=True) as backend, pytest.raises(ModelError, match="no valid sco"):
        backend.predict(np.full((1, 3, 8, 8), 2, dtype=np.float32))


def test_a_cancelled_run_raises(tmp_path: Path) -> None:
    with opened(tiny.pixelwise(tmp_path / "m.onnx"), eight_bit=True) as backend:
        backend.cancel()
        with pytest.raises(Cancelled):
            backend.predict(np.zeros((1, 3, 8, 8), dtype=np.float32))


def test_labels_of_the_shipped_model_agree_on_a_real_image() -> None:
    info = inspect(paths.default_model())
    demo = Path(paths.default_model()).parents[1] / "demo" / "dubai.tif"
    dataset = gdal.Open(str(demo))
    raw = dataset.ReadAsArray(200, 200, 480, 400)[None, :3]
    low, high = ((float(value),) * 3 for value in info.card.value_range)
    pixel = RawInput("uint8", low, high)
    with (
        OnnxBackend(info, "cpu", 1, (400, 480)) as plain,
        OnnxBackend(info, "cpu", 1, (400, 480), raw=pixel, eight_bit=True) as backend,
    ):
        wanted = plain.predict(raw / np.float32(high[0]))
        found = backend.predict(raw)
    check(found, wanted)
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.998  # 0.9994 of the image
