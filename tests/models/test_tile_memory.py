"""How much memory tiles need, and what happens where there is too little."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scasnet_qgis import paths
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.tile_memory import (
    WORKING_BYTES,
    bytes_a_pixel,
    bytes_ahead,
    tile_limit,
    workers_for,
)
from tests.models import tiny_models as tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHILD = """
import resource, sys
import numpy as np
from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect

def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 2**10 for line in lines if line.startswith(key))
"""
SHORT = (
    CHILD
    + """
image = np.random.default_rng(1).random((8, 3, 512, 512), dtype=np.float32)
with OnnxBackend(inspect(sys.argv[1]), "cpu", 1, (512, 512), batch=8) as backend:
    assert backend.batch == 8
    wanted = backend.predict(image[:1])
    large = np.zeros((1, 3, 4096, 4096), dtype=np.float32)
    limit = status("VmSize") + 180 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = backend.predict(image)
    assert found.shape == (8, 3, 512, 512)
    assert np.abs(found[:1] - wanted).max() < 1e-6
    print(*backend.warnings, sep="|")
    try:
        backend.predict(large)
    except ModelError as error:
        print(error.sentence)
"""
)
STEADY = (
    CHILD
    + """
from concurrent.futures import ThreadPoolExecutor
image = np.random.default_rng(1).random((1, 3, 1024, 1024), dtype=np.float32)
info = inspect(sys.argv[1])
for _ in range(2):
    with OnnxBackend(info, "cpu", 2, (1024, 1024)) as backend, ThreadPoolExecutor(2) as pool:
        opened, held = status("VmRSS"), []
        for _ in range(3):
            list(pool.map(lambda _: backend.predict(image).shape, range(2)))
            held.append(status("VmRSS"))
    print(opened, held[0], held[-1], status("VmRSS"))
"""
)


def answer(script: str, model: Path) -> list[str]:
    command = [sys.executable, "-c", script, str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit of addresses")
def test_fewer_tiles_at_a_time_where_memory_is_short(tmp_path: Path) -> None:
    """A layer of eight tiles holds 134 MB here."""
    warnings, single = answer(SHORT, tiny.slow(tmp_path / "m.onnx", layers=3))
    assert "Not enough memory for a batch of 8 tiles" in warnings
    assert "smaller tile size" in single
    assert "4096 x 4096" in single


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_the_same_and_is_given_back(tmp_path: Path) -> None:
    """Two layers of a tile hold 134 MB here."""
    for line in answer(STEADY, tiny.slow(tmp_path / "m.onnx", layers=3)):
        opened, first, last, closed = (int(number) / 2**20 for number in line.split())
        assert first - opened > 100
        assert last < 1.1 * first
        assert closed - opened < 0.3 * (last - opened)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_will_be_needed_is_there_from_the_start() -> None:
    """So that a map of four tiles needs as much as one of a thousand."""
    script = STEADY.replace("1024", "512").replace("range(3)", "range(4)")
    line = answer(script, Path(paths.default_model()))[0]
    opened, _first, last, closed = (int(number) / 2**20 for number in line.split())
    scores = 2 * 4 * 5 * 512 * 512 / 2**20
    assert last - opened < 2 * scores
    assert opened - closed > 80


def test_only_what_is_known_is_reserved(tmp_path: Path) -> None:
    info = inspect(paths.default_model())
    assert bytes_ahead(info, (512, 256), 3) == 3 * 512 * 256 * bytes_a_pixel(info)
    assert bytes_ahead(info, (9000, 9000), 3) == WORKING_BYTES
    assert bytes_ahead(inspect(tiny.pixelwise(tmp_path / "m.onnx")), (512, 512), 1) == 0


def test_what_a_pixel_takes_follows_the_network(tmp_path: Path) -> None:
    shipped = inspect(paths.default_model())
    assert 180 <= bytes_a_pixel(shipped) <= 230
    full = replace(shipped, card=replace(shipped.card, width=1.0))
    assert 580 <= bytes_a_pixel(full) <= 700
    resnet = replace(full, card=replace(full.card, network="ResNet ScasNet"))
    assert bytes_a_pixel(resnet) > bytes_a_pixel(full)
    unknown = inspect(tiny.pixelwise(tmp_path / "m.onnx"))
    assert bytes_a_pixel(unknown) > bytes_a_pixel(full)
    assert bytes_a_pixel(replace(unknown, classes=50)) > bytes_a_pixel(unknown)


@pytest.mark.parametrize("threads", [1, 2, 8, 16, 64])
def test_the_largest_tile_leaves_one_to_each_thread(threads: int) -> None:
    info = inspect(paths.default_model())
    side = tile_limit(info, threads)
    assert side % 8 == 0
    pixel_bytes = bytes_a_pixel(info)
    assert threads * side**2 * pixel_bytes <= WORKING_BYTES
    assert threads * (side + 8) ** 2 * pixel_bytes > WORKING_BYTES
    assert workers_for(threads, (side, side), 1, None, pixel_bytes) == threads


def test_no_tile_is_smaller_than_pays() -> None:
    info = inspect(paths.default_model())
    assert tile_limit(info, 1000) == 256
    assert workers_for(1000, (256, 256), 1, None, bytes_a_pixel(info)) < 1000
