"""The tile plan of a run and what is told of its threads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.mapping.log import describe
from scasnet_qgis.mapping.plan import make_plan
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.tiling.windows import Window
from tests.conftest import MakeRaster
from tests.map_settings import map_settings
from tests.models import tiny_models as tiny

CUDA = "CUDAExecutionProvider"
AREA = Window(0, 0, 20_000, 30_000)


@pytest.fixture
def request_of_20(tmp_path: Path) -> MapSettings:
    """A request for a model of 20 classes."""
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx", classes=20))
    return map_settings("image.tif", info, tmp_path / "map.tif")


def test_many_classes_do_not_multiply_the_computing(request_of_20: MapSettings) -> None:
    plan = make_plan(AREA, (1088, 1088), 128, request_of_20.model)
    assert plan.computed_pixels < 2 * AREA.rows * AREA.cols


def test_probabilities_of_many_tiles_and_panels(
    make_raster: MakeRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is what the model gives, and each of its blocks is in it once."""
    monkeypatch.setattr("scasnet_qgis.mapping.plan.PANEL_BYTES", 400_000)
    image = np.random.default_rng(3).integers(0, 256, (3, 530, 800)).astype(np.uint8)
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx", classes=4))
    scores = tmp_path / "scores.tif"
    request = map_settings(
        make_raster(image),
        info,
        tmp_path / "map.tif",
        probabilities=scores,
        tile_size=200,
        overlap=40,
    )
    result = make_map(request, Progress(), lambda _path, _classes: None)
    assert len(result.plan.panels) > 1
    wanted = tiny.softmax(tiny.logits(image[None] / 255, 4))[0]
    found = gdal.Open(str(scores)).ReadAsArray()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    again = tmp_path / "again.tif"
    options = ["TILED=YES", "COMPRESS=DEFLATE", "ZLEVEL=1", "PREDICTOR=3", "INTERLEAVE=BAND"]
    gdal.Translate(str(again), str(scores), creationOptions=options)
    dataset = gdal.Open(str(again), gdal.GA_Update)
    dataset.BuildOverviews("AVERAGE", [2, 4])
    del dataset
    assert scores.stat().st_size == pytest.approx(again.stat().st_size, rel=0.01)


@pytest.mark.parametrize(
    ("provider", "device", "threads", "eight_bit", "labels", "text"),
    [
        ("CPUExecutionProvider", "", 2, False, False, "CPUExecutionProvider, 2 threads"),
        ("CPUExecutionProvider", "", 1, False, True, "CPUExecutionProvider, 1 thread"),
        (CUDA, "H200", 16, True, False, CUDA + ", H200, 8-bit scores"),
        (CUDA, "H200", 16, True, True, CUDA + ", H200, labels only"),
        (CUDA, "", 16, False, False, CUDA),
    ],
)
def test_threads_are_told_of_a_processor_only(
    provider: str, device: str, threads: int, eight_bit: bool, labels: bool, text: str
) -> None:
    backend = SimpleNamespace(
        provider=provider,
        device_name=device,
        threads=threads,
        eight_bit=eight_bit,
        gives_labels=labels,
    )
    assert describe(backend) == text
