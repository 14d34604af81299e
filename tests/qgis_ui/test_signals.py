"""A run that is told to stop on the command line cleans up first."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.memory import repeated_image
from tests.real_qgis import ROOT

LONGEST = 60  # seconds until the run has begun


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    raster = repeated_image(tmp_path / "large.vrt", 20_000, 20_000)
    run = subprocess.Popen(
        [
            str(ROOT / "scripts" / "qgis_process"),
            *("run", "scasnet:segment", "--", f"INPUT={raster}", f"OUTPUT={folder / 'map.tif'}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + LONGEST
    while not list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(folder.iterdir()), "the work folder of the run"
    run.send_signal(number)
    said, _ = run.communicate(timeout=30)
    assert run.returncode == 128 + number
    assert "Traceback" not in said
    assert "ScasNet VGG compact" in said, "what the log had said is not lost"
    assert list(folder.iterdir()) == []
