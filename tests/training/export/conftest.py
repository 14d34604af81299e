"""The image that exports are calibrated and compared on."""

from __future__ import annotations

from pathlib import Path

import pytest
from osgeo import gdal

from tests.training.export.exporting import DEMO


@pytest.fixture(scope="session")
def corner(tmp_path_factory) -> Path:
    """A corner of the demo image, 300 x 260 pixels, with its place."""
    path = tmp_path_factory.mktemp("corner") / "corner.tif"
    assert gdal.Translate(str(path), str(DEMO), srcWin=[400, 500, 300, 260]) is not None
    return path
