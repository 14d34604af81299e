"""A cancelled run in QGIS that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.outputs import workspace as work
from tests.real_qgis import DEMO, RecordingFeedback


def cancelled(context, source: Path, target: Path) -> RecordingFeedback:
    import processing

    feedback = RecordingFeedback(cancel_at=60.0)
    parameters = {"INPUT": str(source), "OUTPUT": str(target), "TILE_SIZE": 64, "OVERLAP": 16}
    processing.run("scasnet:segment", parameters, context=context, feedback=feedback)
    return feedback


@pytest.mark.fault(
    "a run is cancelled in QGIS",
    "the same command goes on; RESUME=False begins anew",
)
def test_the_same_command_goes_on(run, provider, context, feedback, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)
    source, target = tmp_path / "image.tif", tmp_path / "map.tif"
    gdal.Translate(str(source), str(DEMO), srcWin=[100, 100, 200, 260])
    tiles = {"TILE_SIZE": 64, "OVERLAP": 16}
    told = cancelled(context, source, target).lines
    assert any(".map.part-tif" in line for line in told)
    assert not target.exists()
    run("scasnet:segment", INPUT=str(source), OUTPUT=str(target), **tiles)
    assert sum(line.startswith("Resuming an interrupted run") for line in feedback.lines) == 1
    assert sum("that an interrupted run had finished" in line for line in feedback.lines) == 1
    first = gdal.Open(str(target)).ReadAsArray()
    cancelled(context, source, target)
    run("scasnet:segment", INPUT=str(source), OUTPUT=str(target), RESUME=False, **tiles)
    assert sum(line.startswith("Resuming an interrupted run") for line in feedback.lines) == 1
    np.testing.assert_array_equal(gdal.Open(str(target)).ReadAsArray(), first)
