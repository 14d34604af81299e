"""What is asked of CUDA, and runs in buffers that stay: on the CPU, which takes them as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.cuda import PageLocks, device_name, free_bytes, tiles_at_once
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models as tiny

GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("free", "tile", "tiles", "count"),
    [
        (None, GIGABYTE, None, 1),
        (GIGABYTE, GIGABYTE, None, 1),
        (8 * GIGABYTE, GIGABYTE, None, 2),
        (24 * GIGABYTE, GIGABYTE // 4, None, 16),
        (24 * GIGABYTE, GIGABYTE // 4, 5, 5),
        (0, GIGABYTE, 5, 1),
    ],
)
def test_tiles_follow_the_free_memory(
    free: int | None, tile: int, tiles: int | None, count: int
) -> None:
    assert tiles_at_once(free, tile, tiles) == count


def test_locking_pages_leaves_what_they_hold() -> None:
    locks = PageLocks()
    array = np.arange(100_000)
    locks.lock(array)
    np.testing.assert_array_equal(array, np.arange(100_000))
    locks.release(array)
    locks.release(array)
    np.testing.assert_array_equal(array, np.arange(100_000))


def test_what_is_known_of_a_card_fits_together() -> None:
    """Without a card there is no name; with one there is memory, if CUDA's runtime is there."""
    free = free_bytes()
    assert isinstance(device_name(), str)
    assert free is None or (free > 0 and device_name())


def opened(path: Path, *, bound: bool, **options: Any) -> OnnxBackend:
    backend = OnnxBackend(inspect(path), "cpu", 4, (64, 64), **options)
    if bound:
        backend._bound = backend._binding()
    return backend


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize(
    "kind",
    [{}, {"kind": "float16"}, {"classes": 1}, {"margin": 4}, {"batch": 4, "size": (32, 48)}],
    ids=str,
)
def test_bound_runs_give_the_same(tmp_path: Path, kind: dict[str, Any], eight_bit: bool) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx", **kind)
    random = np.random.default_rng(4)
    with (
        opened(path, bound=False, eight_bit=eight_bit) as plain,
        opened(path, bound=True, eight_bit=eight_bit) as backend,
    ):
        for count in (1, 3, 6):
            image = random.random((count, 3, 32, 48), dtype=np.float32)
            np.testing.assert_array_equal(backend.predict(image), plain.predict(image))


def test_results_are_not_overwritten_by_the_next_run(tmp_path: Path) -> None:
    path = tiny.pixelwise(tmp_path / "m.onnx")
    images = np.random.default_rng(5).random((30, 1, 3, 32, 32), dtype=np.float32)
    images[1::2] = 0  # so that two neighbours never give the same
    with opened(path, bound=True) as backend, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(backend.predict, images))
    for image, found in zip(images, results):
        wanted = tiny.softmax(tiny.logits(image, 3))
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_buffers_of_other_shapes_are_freed(tmp_path: Path) -> None:
    with opened(tiny.pixelwise(tmp_path / "m.onnx"), bound=True) as backend:
        for size in (32, 40, 40, 48):
            backend.predict(np.zeros((1, 3, size, size), dtype=np.float32))
        runs = backend._bound
        assert runs is not None
        assert [buffers.source.shape for buffers in runs._idle] == [(1, 3, 48, 48)]


def test_a_bound_run_can_be_cancelled(tmp_path: Path) -> None:
    with opened(tiny.pixelwise(tmp_path / "m.onnx"), bound=True) as backend:
        backend.cancel()
        with pytest.raises(Cancelled):
            backend.predict(np.zeros((1, 3, 8, 8), dtype=np.float32))
