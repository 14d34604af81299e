"""Runs that are killed at every place that matters, with and without a loss of power."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal

from tests.models import tiny_models

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]
ROOT = Path(__file__).parents[2]
DEMO = ROOT / "resources" / "demo" / "dubai.tif"
OUTPUTS = "scasnet_qgis.outputs"
ATOMIC = f"{OUTPUTS}.atomic_output"

# Where a run is killed, and the how manieth call of the place that is.
PLACES = {
    "as a row of tiles is kept": (f"{OUTPUTS}.chunks:ChunkWriter.finish", 2),
    "as a kept row is listed": (f"{OUTPUTS}.journal:Journal.add", 3),
    "as blocks are written": ("scasnet_qgis.mapping.map_files:MapFiles._write_to_all", 4),
    "as overviews are written": (f"{OUTPUTS}.overviews:Pyramid._write", 1),
    "as the last overviews are made": (f"{OUTPUTS}.overviews:Pyramid.finish", 1),
    "as the sieve begins": ("scasnet_qgis.mapping.refinements.sieve:Sieve.run", 1),
    "as sieved rows are copied": (f"{OUTPUTS}.class_map:ClassMapWriter.write_labels", 1),
    "as a file is closed": (f"{OUTPUTS}.geotiff:GeoTiffWriter.close", 2),
    "as the description is written": ("scasnet_qgis.mapping.record:write_records", 1),
}
WHOLE = [
    *((f"as file {call} goes to the disk", f"{ATOMIC}:fsync_file", call) for call in (1, 3, 5)),
    *((f"as a folder goes to the disk, {call}", f"{ATOMIC}:fsync_folder", call)
      for call in range(1, 13)),
    *((f"as name {call} changes", f"{ATOMIC}:_move", call) for call in range(1, 13)),
    ("as the work folder is removed", f"{OUTPUTS}.work_folder:WorkFolder.remove", 1),
    ("as the second work folder is removed", f"{OUTPUTS}.work_folder:WorkFolder.remove", 2),
]  # fmt: skip
LOSSES = ("empty", "half", "zeros", "names", "some names")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, list[str]]]:
    """Kills runs as ``cases`` say, all of them in one process, and says what was wrong."""

    def call(cases: list[dict[str, Any]]) -> dict[str, list[str]]:
        folder = tmp_path_factory.mktemp("killed")
        gdal.Translate(str(folder / "image.tif"), str(DEMO), srcWin=[200, 300, 300, 270])
        model = tiny_models.pixelwise(folder / "tiny.onnx", classes=5)
        request = {
            "source": str(folder / "image.tif"),
            "model": str(model),
            "output": str(folder / "out" / "map.tif"),
            "probabilities": str(folder / "out" / "scores.tif"),
            "settings": {"tile_size": 64, "overlap": 16, "sieve": 12, "min_confidence": 0.25},
            "pause": 0,
            "log": str(folder / "log"),
            "cases": cases,
        }
        (folder / "request.json").write_text(json.dumps(request))
        done = subprocess.run(
            [sys.executable, "-m", "tests.mapping.killed_at", str(folder / "request.json")],
            cwd=ROOT, capture_output=True, text=True, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def cases_of(loss: str = "") -> list[dict[str, Any]]:
    places = [(name, *place) for name, place in PLACES.items()] + WHOLE
    return [
        {"name": f"{name}, {'with' if old else 'without'} an old map", "place": place,
         "call": call, "old": old, "loss": loss}
        for name, place, call in places
        for old in (False, True)
        if old or not name.startswith(("as name", "as a folder")) or call < 7
    ]  # fmt: skip


def wrong(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: problems for name, problems in found.items() if problems}


def some(cases: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """All of them, or one in so many."""
    return cases[:: step or 1]


EVERY = pytest.param(1, marks=pytest.mark.long, id="all")


@pytest.mark.fault(
    "a run with probabilities and sieve is killed (kill -9) at up to 60 named places: while rows "
    "are kept, overviews made, patches merged, files closed, described and given their names",
    "under the names is the old map or the new one, each whole; the same command goes on and gives "
    "the same bytes, side files included",
)
@pytest.mark.parametrize("step", [pytest.param(9, id="some"), EVERY])
def test_a_run_that_is_killed_at_a_named_place(killed, step: int) -> None:
    cases = some(cases_of(), step)
    found = killed(cases)
    assert wrong(found) == {}
    assert len(found) == len(cases) >= 7


@pytest.mark.fault(
    "the power fails at the same places: what was not flushed to the disk is empty, cut in half or "
    "zeros, and changed names that were not flushed are lost, all of them or every other one",
    "under the names is the old map or the new one, each whole; the same command gives the same "
    "bytes",
)
@pytest.mark.parametrize(
    ("loss", "step"),
    [
        ("zeros", 15),
        ("some names", 13),
        *(pytest.param(loss, 1, marks=pytest.mark.long, id=f"{loss}, all") for loss in LOSSES),
    ],
)
def test_a_loss_of_power(killed, loss: str, step: int) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs Linux")
    cases = some(cases_of(loss), step)
    found = killed(cases)
    assert wrong(found) == {}
    assert len(found) == len(cases) >= 4
