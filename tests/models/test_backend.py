"""Scores of tiles, for every kind of model, against numpy."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.common.errors import Cancelled, ModelError, SettingError
from scasnet_qgis.models import session as loading
from scasnet_qgis.models.backend import OnnxBackend, no_memory
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.tile_memory import workers_for
from tests.conftest import Recorder
from tests.models import tiny_models as tiny

CANCEL_SECONDS = 2.0


def opened(path: Path, **options: Any) -> OnnxBackend:
    return OnnxBackend(inspect(path), **{"device": "cpu", "tile_size": (64, 64), **options})


def tiles(count: int = 2, bands: int = 3, rows: int = 40, cols: int = 56) -> np.ndarray:
    return np.random.default_rng(1).random((count, bands, rows, cols), dtype=np.float32)


def check(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=tolerance)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("activation", ["Softmax", None])
def test_probabilities_and_logits_give_the_same(tmp_path: Path, activation: str | None) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", bands=5, classes=4, activation=activation)
    image = tiles(bands=5)
    with opened(path) as backend:
        assert (backend.bands, backend.classes, backend.margin) == (5, 4, 0)
        check(backend.predict(image), tiny.softmax(tiny.logits(image, 4)))


@pytest.mark.parametrize("activation", ["Sigmoid", None])
def test_one_channel_becomes_background_and_class(tmp_path: Path, activation: str | None) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", classes=1, activation=activation)
    image = tiles()
    share = tiny.sigmoid(tiny.logits(image, 1))
    with opened(path) as backend:
        assert backend.classes == 2
        check(backend.predict(image), np.concatenate([1 - share, share], axis=1))


def test_a_sigmoid_for_each_class_keeps_the_best_class(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", classes=3, activation="Sigmoid")
    image = tiles()
    with opened(path) as backend:
        found = backend.predict(image)
    given = tiny.sigmoid(tiny.logits(image, 3))
    check(found, tiny.softmax(given))
    best = given.argmax(axis=1)
    assert (found.argmax(axis=1) == best).mean() > 0.99  # single precision makes a few ties
    assert len(np.unique(best)) > 1


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_fixed_batch_is_filled_up_and_split(tmp_path: Path, count: int) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", batch=4, size=(32, 48))
    image = tiles(count, rows=32, cols=48)
    with opened(path) as backend:
        assert backend.batch_limit == 4
        check(backend.predict(image), tiny.softmax(tiny.logits(image, 3)))


@pytest.mark.parametrize("size", [(64, 64), ("h", "w")])
def test_a_smaller_output_is_the_middle(tmp_path: Path, size: tuple[Any, Any]) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", size=size, margin=10)
    image = tiles(rows=64, cols=64)
    with opened(path) as backend:
        assert backend.margin == 10
        wanted = tiny.softmax(tiny.logits(image, 3))[:, :, 10:-10, 10:-10]
        check(backend.predict(image), wanted)


def test_an_output_half_as_large_is_said(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", size=(64, 64), margin=16)
    with opened(path) as backend:
        assert any("half as large" in str(warning) for warning in backend.warnings)


def test_half_precision(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", kind="float16")
    image = tiles()
    with opened(path) as backend:
        check(backend.predict(image), tiny.softmax(tiny.logits(image, 3)), tolerance=0.02)


def test_what_deepness_standardises_is_standardised(tmp_path: Path) -> None:
    keys = {
        "standardization_mean": "[0.485, 0.456, 0.406]",
        "standardization_std": "[0.229, 0.224, 0.225]",
    }
    image = tiles()
    mean, std = (np.array(json.loads(text))[:, None, None] for text in keys.values())
    with opened(tiny.pixelwise(tmp_path / "m.onnx", metadata=keys)) as backend:
        check(backend.predict(image), tiny.softmax(tiny.logits((image - mean) / std, 3)), 1e-4)


def test_tiles_that_are_not_contiguous(tmp_path: Path) -> None:
    image = tiles(rows=80, cols=90)[:, ::-1, 3:60, ::-2]
    with opened(tiny.pixelwise(tmp_path / "m.onnx")) as backend:
        check(backend.predict(image), tiny.softmax(tiny.logits(image, 3)))


def test_workers_run_side_by_side_and_do_not_mix(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", batch=2, size=(32, 32))
    images = np.random.default_rng(5).random((40, 3, 3, 32, 32), dtype=np.float32)
    with opened(path, threads=6) as backend:
        assert (backend.threads, backend.workers) == (6, 6)
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(backend.predict, images))
    for image, found in zip(images, results):
        check(found, tiny.softmax(tiny.logits(image, 3)))


def test_the_provider_is_the_one_that_runs(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    with opened(path, device="cpu") as backend:
        assert backend.provider == "CPUExecutionProvider"
        assert backend.warnings == []
        assert backend.threads >= 1
    with pytest.raises(SettingError, match="nonsense"):
        opened(path, device="nonsense")


def test_a_provider_that_does_not_load_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ONNX Runtime itself takes the CPU in silence here, as with a missing driver.
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(loading, "providers_for", lambda _device: wanted)
    path = tiny.pixelwise(tmp_path / "m.onnx")
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        backend = opened(path)
    with backend:
        assert backend.provider == "CPUExecutionProvider"
        assert len(backend.warnings) == 1
        assert "'cuda'" in str(backend.warnings[0])
        assert "'cpu' is used instead" in str(backend.warnings[0])
        check(backend.predict(tiles()), tiny.softmax(tiny.logits(tiles(), 3)))


def test_a_tile_the_model_cannot_take(tmp_path: Path) -> None:
    backend = opened(tiny.pixelwise(tmp_path / "m.onnx", size=(32, 32)))
    with backend, pytest.raises(ModelError, match="40 x 56"):
        backend.predict(tiles())


def test_scores_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    with opened(tiny.not_finite(tmp_path / "m.onnx")) as backend:
        backend.predict(tiles())
        with pytest.raises(ModelError, match="no valid scores"):
            backend.predict(tiles() * 2)


def test_too_little_memory_asks_for_smaller_tiles() -> None:
    error = no_memory((1, 3, 9000, 8000), "Failed to allocate memory")
    assert "smaller tile size" in error.sentence
    assert "9000 x 8000" in error.sentence
    assert error.detail == "Failed to allocate memory"


class Call(threading.Thread):
    """One call of ``predict`` in a thread of its own."""

    def __init__(self, backend: OnnxBackend, image: np.ndarray) -> None:
        super().__init__(daemon=True)
        self.backend, self.image = backend, image
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.backend.predict(self.image)
        except BaseException as error:
            self.error = error


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.slow(tmp_path_factory.mktemp("slow") / "slow.onnx")


def test_cancel_reaches_into_a_slow_batch(slow_model: Path) -> None:
    backend = opened(slow_model, threads=2)
    calls = [Call(backend, tiles(1, rows=1024, cols=1024)) for _ in range(2)]
    time.sleep(1.0)
    assert all(call.is_alive() for call in calls)  # else this would test nothing
    started = time.monotonic()
    backend.cancel()
    for call in calls:
        call.join(2 * CANCEL_SECONDS)
    assert time.monotonic() - started < CANCEL_SECONDS
    assert all(isinstance(call.error, Cancelled) for call in calls)
    with pytest.raises(Cancelled):
        backend.predict(tiles(1, rows=8, cols=8))
    backend.close()


def test_close_stops_what_runs_and_may_be_repeated(slow_model: Path) -> None:
    backend = opened(slow_model)
    call = Call(backend, tiles(1, rows=1024, cols=1024))
    time.sleep(0.5)
    assert call.is_alive()
    started = time.monotonic()
    backend.close()
    assert time.monotonic() - started < CANCEL_SECONDS
    call.join(1)
    assert isinstance(call.error, Cancelled)
    backend.close()


def test_a_closed_model_says_so(tmp_path: Path) -> None:
    backend = opened(tiny.pixelwise(tmp_path / "m.onnx"))
    backend.close()
    with pytest.raises(ModelError, match="closed"):
        backend.predict(tiles())


ADVISED = (1088, 1088)  # the shipped model's tile


@pytest.mark.parametrize(
    ("threads", "size", "batch", "tiles", "workers"),
    [
        (2, ADVISED, 1, None, 2),
        (64, ADVISED, 1, None, 4),
        (64, ADVISED, 1, 1, 1),
        (64, ADVISED, 4, None, 1),
        (64, (256, 256), 1, None, 64),
        (64, (256, 256), 4, 10, 3),
        (1, (9000, 9000), 1, 50, 1),
    ],
)
def test_as_many_workers_as_memory_and_tiles_allow(
    threads: int, size: tuple[int, int], batch: int, tiles: int | None, workers: int
) -> None:
    assert workers_for(threads, size, batch, tiles, 220) == workers


@pytest.mark.parametrize(("count", "workers", "inside"), [(1, 1, 3), (2, 2, 2), (None, 3, 1)])
def test_threads_that_are_no_workers_help_inside_tiles(
    tmp_path: Path, count: int | None, workers: int, inside: int
) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    with opened(path, threads=3) as alone, opened(path, threads=3, tiles=count) as backend:
        assert (backend.workers, backend.threads) == (workers, 3)
        options = backend._opened().session.get_session_options()
        assert options.intra_op_num_threads == inside
        np.testing.assert_array_equal(backend.predict(tiles()), alone.predict(tiles()))


def test_the_probe_of_a_large_fixed_tile_can_be_cancelled(
    tmp_path: Path, recorder: Recorder
) -> None:
    info = inspect(tiny.slow(tmp_path / "slow.onnx"))
    stopped: list[float] = []

    def stop() -> None:
        recorder.stop = True
        stopped.append(time.monotonic())

    timer = threading.Timer(0.5, stop)
    timer.start()
    with pytest.raises(Cancelled):
        OnnxBackend(replace(info, fixed_size=(1024, 1024)), "cpu", 1, progress=recorder)
    assert time.monotonic() - stopped[0] < CANCEL_SECONDS - 0.5
    timer.join()


@pytest.mark.parametrize(("batch", "chosen"), [(0, 1), (1, 1), (3, 3)])
def test_an_automatic_batch_is_one_tile_on_the_processor(
    tmp_path: Path, batch: int, chosen: int
) -> None:
    with opened(tiny.pixelwise(tmp_path / "m.onnx"), batch=batch) as backend:
        assert backend.batch == chosen
    with opened(tiny.pixelwise(tmp_path / "f.onnx", batch=4), batch=batch) as backend:
        assert backend.batch == 4


def test_the_notes_name_the_runtime(tmp_path: Path) -> None:
    with opened(tiny.pixelwise(tmp_path / "m.onnx")) as backend:
        assert [str(note)[:12] for note in backend.notes] == ["ONNX Runtime"]
