"""Runs that are killed at any moment, and go on as if nothing had been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mapping.killing import KEPT
from tests.models import tiny_models

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "resources" / "demo" / "dubai.tif"


def killed(folder: Path, kills: int, seed: int, **how: Any) -> tuple[dict[str, int], list[str]]:
    """Kill runs at random moments; what came out, and what the runs said about going on."""
    (folder / "out").mkdir()
    metadata = how.pop("metadata", None)
    model = tiny_models.pixelwise(folder / "tiny.onnx", classes=5, metadata=metadata)
    wanted = {
        "source": str(DEMO),
        "model": str(model),
        "output": str(folder / "out" / "map.tif"),
        "settings": {"tile_size": 128, "overlap": 48, **how.pop("settings", {})},
        "kills": kills,
        "seed": seed,
        "share": 0.5,
        "pause": 0.005,
        "log": str(folder / "log"),
        **how,
    }
    if how.pop("scores", False):
        wanted["probabilities"] = str(folder / "out" / "scores.tif")
    request = folder / "request.json"
    request.write_text(json.dumps(wanted))
    done = subprocess.run(
        [sys.executable, "-m", "tests.mapping.killing", str(request)],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = folder / "log"
    return json.loads(done.stdout), log.read_text().splitlines() if log.exists() else []


@pytest.mark.fault(
    "a run on a real image is killed (kill -9) at 25 random moments and taken up again each time",
    "what appears is whole; the last run gives the same bytes, side files and description "
    "included (but for times)",
)
def test_a_run_that_is_killed_25_times_gives_the_same_bytes(tmp_path: Path) -> None:
    """On a real image; whatever is under the output's name at any time is whole."""
    found, said = killed(tmp_path, 25, seed=1)
    assert (found["kills"], found["wrong"], found["left"]) == (25, 0, 0)
    assert found["finished"] > 0
    assert len(said) > 5, "or nothing was ever kept"
    assert said[0].startswith(KEPT)


@pytest.mark.long
@pytest.mark.fault(
    "a run with probabilities, with sieve and least confidence, or with narrow panels is killed at "
    "8 or more random moments",
    "what appears is whole; the last run gives the same bytes",
)
@pytest.mark.parametrize(
    "how",
    [
        {"scores": True},
        {"settings": {"sieve": 20, "min_confidence": 0.5}},
        {"panel_bytes": 1, "settings": {"batch": 3}},
        {"panel_bytes": 1, "metadata": {"resolution": "210"}, "scores": True},
    ],
    ids=["probabilities", "sieve", "panels", "another resolution"],
)
def test_so_it_is_with_all_that_a_run_can_do(tmp_path: Path, how: dict[str, Any]) -> None:
    found, said = killed(tmp_path, 8, seed=2, **how)
    assert (found["kills"], found["wrong"], found["left"]) == (8, 0, 0)
    assert found["finished"] > 0
    assert said


@pytest.mark.long
@pytest.mark.fault(
    "a run with probabilities, with sieve and least confidence, or with narrow panels is killed at "
    "8 or more random moments",
    "what appears is whole; the last run gives the same bytes",
)
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_many_more_kills(tmp_path: Path, seed: int) -> None:
    how = {
        "panel_bytes": 1 if seed % 2 else 10**8,
        "settings": {"sieve": 20, "min_confidence": 0.4, "batch": seed - 2},
    }
    found, said = killed(tmp_path, 40, seed, scores=True, **how)
    assert (found["kills"], found["wrong"], found["left"]) == (40, 0, 0)
    assert said
