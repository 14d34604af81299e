"""A cancelled run in QGIS that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessing, QgsProcessingUtils

from scasnet_qgis.outputs import workspace
from tests.real_qgis import DEMO

TILES = {"TILE_SIZE": 64, "OVERLAP": 16}


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A part of the demo image; whatever is finished of its map is kept."""
    monkeypatch.setattr(workspace, "MIN_KEPT_SECONDS", 0.0)
    path = tmp_path / "image.tif"
    gdal.Translate(str(path), str(DEMO), srcWin=[100, 100, 200, 260])
    return path


@pytest.mark.fault(
    "a run is cancelled in QGIS", "the same command goes on; RESUME=False begins anew"
)
def test_the_same_command_goes_on(run, cancelled, feedback, source, tmp_path) -> None:
    target = tmp_path / "map.tif"
    settings = {"INPUT": str(source), "OUTPUT": str(target), **TILES}
    assert any(
        ".map.part-tif" in line for line in cancelled("scasnet:segment", 60.0, **settings).lines
    )
    assert not target.exists()
    run("scasnet:segment", **settings)
    assert sum(line.startswith("Resuming an interrupted run") for line in feedback.lines) == 1
    assert sum("that an interrupted run had finished" in line for line in feedback.lines) == 1
    first = gdal.Open(str(target)).ReadAsArray()
    cancelled("scasnet:segment", 60.0, **settings)
    run("scasnet:segment", **settings, RESUME=False)
    assert sum(line.startswith("Resuming an interrupted run") for line in feedback.lines) == 1
    np.testing.assert_array_equal(gdal.Open(str(target)).ReadAsArray(), first)


def test_a_temporary_output_is_not_said_to_be_resumable(cancelled, source) -> None:
    """Another run would get another name for it."""
    folder = Path(QgsProcessingUtils.tempFolder())
    before = {path.name for path in folder.rglob("*.part-tif")}
    settings = {"INPUT": str(source), "OUTPUT": QgsProcessing.TEMPORARY_OUTPUT, **TILES}
    feedback = cancelled("scasnet:segment", 60.0, **settings)
    assert not any(".part-tif" in line for line in feedback.lines)
    assert any("cannot be resumed" in warning for warning in feedback.warnings)
    assert {path.name for path in folder.rglob("*.part-tif")} == before
