"""Runs that are cancelled on their way, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.mapping.job import MapResult, make_map
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from tests.conftest import Recorder
from tests.map_settings import changed, map_settings
from tests.mapping.killing import KEPT
from tests.models import tiny_models

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "dubai.tif"
ROWS, COLS = 260, 300
TILES = {"tile_size": 64, "overlap": 24}


class Interrupted(Recorder):
    """Cancelled once ``share`` of the map is done."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def report(self, fraction: float) -> None:
        super().report(fraction)
        self.stop = fraction >= self._share

    @property
    def kept(self) -> list[str]:
        return [line for line in self.infos if line.startswith(KEPT)]


def request_in(folder: Path, **changes: Any) -> MapSettings:
    """A request for a part of the demo image and a tiny model."""
    model = folder / "tiny.onnx"
    if not model.exists():
        tiny_models.pixelwise(model, classes=5)
        gdal.Translate(str(folder / "image.tif"), str(DEMO), srcWin=[200, 300, COLS, ROWS])
    (folder / "out").mkdir(exist_ok=True)
    values = {"source": str(folder / "image.tif"), "threads": 1, **TILES, **changes}
    return map_settings(model=inspect(model), output=folder / "out" / "map.tif", **values)


def mapped(request: MapSettings, progress: Recorder | None = None) -> tuple[Recorder, MapResult]:
    progress = progress or Interrupted(2.0)
    return progress, make_map(request, progress, lambda _path, _classes: None)


def interrupted(request: MapSettings, share: float = 0.6) -> Interrupted:
    progress = Interrupted(share)
    with pytest.raises(Cancelled):
        mapped(request, progress)
    return progress


def fresh(request: MapSettings, folder: Path) -> bytes:
    """The map of an uninterrupted run."""
    folder.mkdir()
    other = changed(request, output=folder / "map.tif")
    if request.output.probabilities:
        other = changed(other, probabilities=folder / request.output.probabilities.name)
    mapped(other)
    return (folder / "map.tif").read_bytes()


def left(request: MapSettings) -> list[str]:
    return sorted(path.name for path in request.output.map.parent.iterdir())
