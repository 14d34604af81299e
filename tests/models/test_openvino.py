"""OpenVINO behind the same interface; it lies apart, so each test asks a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.models import openvino_session
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "build" / "openvino"
START = f"""
import json, sys, threading, time
sys.path.append({str(PACKAGES)!r})
import numpy as np
from scasnet_qgis import paths
from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.models import openvino_session
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models
"""


def ask(code: str, *arguments: object) -> Any:
    """What a process that has OpenVINO prints last, as JSON."""
    command = [sys.executable, "-c", START + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


COMPARE = """
from osgeo import gdal
gdal.UseExceptions()
image = gdal.Open(str(paths.resources() / "demo" / "dubai.tif")).ReadAsArray()
tile = image[None, :, 100:484, 50:434].astype(np.float32) / 255
info, found = inspect(paths.default_model()), {}
for device in ("cpu", "openvino"):
    with OnnxBackend(info, device, 2, tile.shape[2:]) as backend:
        found[device] = backend.predict(tile)
        text = [backend.provider, backend.device_name, backend.threads, backend.workers]
        warnings = len(backend.warnings)
same = (found["cpu"].argmax(1) == found["openvino"].argmax(1)).mean()
sums = found["openvino"].sum(axis=1)
print(json.dumps([text, warnings, float(same), float(abs(sums - 1).max())]))
"""


def test_the_shipped_model_gives_nearly_the_same_map() -> None:
    (provider, device, threads, workers), warnings, same, off = ask(COMPARE)
    assert (provider, threads, workers, warnings) == ("OpenVINO", 2, 2, 0)
    assert device.endswith(("bfloat16", "float32"))
    assert same > 0.99
    assert off < 0.02


AUTOMATIC = """
ran = []
for file in (paths.default_model(), tiny_models.pixelwise(sys.argv[1], classes=4)):
    with OnnxBackend(inspect(file), "auto", 1, (64, 64)) as backend:
        ran.append(backend.provider)
print(json.dumps([*ran, openvino_session.has_short_numbers()]))
"""


def test_auto_takes_it_only_where_it_is_clearly_faster(tmp_path: Path) -> None:
    ours, of_others, short_numbers = ask(AUTOMATIC, tmp_path / "tiny.onnx")
    assert ours == ("OpenVINO" if short_numbers else "CPUExecutionProvider")
    assert of_others == "CPUExecutionProvider", "nothing is known of its memory"


CANCEL = """
file = tiny_models.slow(sys.argv[1])
with OnnxBackend(inspect(file), "openvino", 1, (1500, 1500)) as backend:
    threading.Timer(0.5, backend.cancel).start()
    started = time.monotonic()
    try:
        for _ in range(1000):
            backend.predict(np.zeros((1, backend.bands, 1500, 1500), np.float32))
    except Cancelled:
        print(json.dumps([backend.provider, time.monotonic() - started]))
"""


def test_a_cancel_reaches_into_a_running_tile(tmp_path: Path) -> None:
    provider, seconds = ask(CANCEL, tmp_path / "slow.onnx")
    assert provider == "OpenVINO"
    assert seconds < 10


SIDE_BY_SIDE = """
from concurrent.futures import ThreadPoolExecutor
file = tiny_models.pixelwise(sys.argv[1], classes=6)
tiles = np.random.default_rng(1).random((12, 1, 3, 96, 80), dtype=np.float32)
with OnnxBackend(inspect(file), "openvino", 3, (96, 80)) as backend:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(backend.predict, tiles))
    again = [backend.predict(tile) for tile in tiles]
print(json.dumps(all((a == b).all() for a, b in zip(found, again))))
"""


def test_workers_do_not_mix_up_their_tiles(tmp_path: Path) -> None:
    assert ask(SIDE_BY_SIDE, tmp_path / "tiny.onnx") is True


def test_a_package_that_does_not_load_is_told_of_and_the_processor_used_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken" / "openvino"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('libtbb is missing')")
    monkeypatch.syspath_prepend(str(folder.parent))
    openvino_session._core.cache_clear()
    assert openvino_session.is_there()
    assert not openvino_session.pays()
    info = inspect(tiny_models.pixelwise(tmp_path / "tiny.onnx"))
    with OnnxBackend(info, "openvino", 1, (64, 64)) as backend:
        assert backend.provider == "CPUExecutionProvider"
        (warning,) = backend.warnings
        assert "openvino" in str(warning.values["device"])
        assert np.isfinite(backend.predict(np.zeros((1, 3, 64, 64), np.float32))).all()
    with pytest.raises(ModelError, match="openvino"):
        openvino_session.OpenVinoSession(info.path, ("image", "scores"), 1, 1)
    openvino_session._core.cache_clear()
