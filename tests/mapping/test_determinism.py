"""The same image, model and settings give the same bytes, and what that does not hold for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs import workspace as work
from tests.map_settings import changed, map_settings
from tests.mapping.interrupting import DEMO, interrupted, mapped
from tests.mapping.killing import products_of

pytestmark = pytest.mark.slow

TILES = {"tile_size": 96, "overlap": 32}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.tif"
    gdal.Translate(str(path), str(DEMO), srcWin=[400, 500, 230, 210])
    return path


@pytest.fixture(scope="module")
def made(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """All files that a run of the shipped model leaves, but for those of the description."""

    def make(**settings: Any) -> dict[str, Any]:
        request = request_for(image, tmp_path_factory.mktemp("made"), **settings)
        mapped(request)
        return files_of(request)

    return make


def request_for(image: Path, folder: Path, **settings: Any) -> MapSettings:
    model = inspect(paths.default_model())
    values = {"threads": 1, "device": "cpu", **TILES, **settings}
    return map_settings(
        str(image), model, folder / "map.tif", probabilities=folder / "scores.tif", **values
    )


def files_of(request: MapSettings) -> dict[str, Any]:
    found = products_of({"output": str(request.output.map)})
    return {name: content for name, content in found.items() if not name.endswith(".scasnet")}


@pytest.fixture(scope="module")
def reference(made) -> dict[str, Any]:
    found = made()
    assert set(found) == {"map.tif", "map.tif.aux.xml", "scores.tif"}
    return found


@pytest.mark.fault(
    "the shipped model on the processor with 1, 2 and 4 threads and batches of 1, 2 and 3 tiles",
    "map, probabilities and side files are the same, byte for byte",
    group="Traceability and determinism",
)
@pytest.mark.parametrize(
    "settings",
    [{}, {"threads": 2}, {"threads": 4}, {"batch": 2}, {"batch": 3, "threads": 2},
     {"batch": 3, "threads": 4}],
    ids=str,
)  # fmt: skip
def test_threads_and_batches_do_not_matter(made, reference, settings) -> None:
    assert made(**settings) == reference


@pytest.mark.long
@pytest.mark.fault(
    "the shipped model with panels so narrow that each is one block wide",
    "map and probabilities hold the same pixels, bit for bit, as with one panel",
    group="Traceability and determinism",
)
def test_the_width_of_panels_does_not_matter(tmp_path, monkeypatch) -> None:
    """To the pixels; the blocks lie in another order in the file."""
    image = tmp_path / "wide.tif"
    gdal.Translate(str(image), str(DEMO), srcWin=[100, 500, 560, 110])
    found = []
    for index, panel_bytes in enumerate((10**9, 1)):
        monkeypatch.setattr(mapping_plan, "PANEL_BYTES", panel_bytes)
        folder = tmp_path / f"{index}"
        folder.mkdir()
        request = request_for(image, folder)
        _, result = mapped(request)
        paths_of = (request.output.map, request.output.probabilities)
        pixels = [gdal.Open(str(path)).ReadAsArray() for path in paths_of]
        found.append((len(result.plan.panels), pixels))
    assert found[0][0] == 1
    assert found[1][0] > 1
    for first, second in zip(found[0][1], found[1][1]):
        np.testing.assert_array_equal(first, second)


@pytest.mark.long
@pytest.mark.fault(
    "the shipped model, interrupted and taken up again with other threads and batches",
    "map, probabilities and side files are those of an uninterrupted run, byte for byte",
    group="Traceability and determinism",
)
def test_an_interruption_does_not_matter(image, tmp_path, reference, monkeypatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)
    request = request_for(image, tmp_path)
    interrupted(request, 0.6)
    progress, _ = mapped(changed(request, threads=2, batch=3))
    assert progress.kept
    assert files_of(request) == reference


def test_tile_size_and_overlap_do_matter(made, reference) -> None:
    """The model sees more of the surroundings, or blends elsewhere: a few pixels change."""
    other = made(tile_size=128, overlap=32)
    assert other["scores.tif"] != reference["scores.tif"]


@pytest.mark.long
def test_two_maps_of_other_tiles_are_nearly_the_same(image, tmp_path) -> None:
    maps = []
    for tile in (96, 128):
        folder = tmp_path / f"{tile}"
        folder.mkdir()
        request = request_for(image, folder, tile_size=tile)
        mapped(request)
        maps.append(gdal.Open(str(request.output.map)).ReadAsArray())
    assert 0.8 < np.mean(maps[0] == maps[1]) < 1.0
