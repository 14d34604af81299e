"""A real QGIS with the provider registered, and small real inputs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsLayerTreeLayer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt

from tests.tile_server import serving

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "resources" / "demo" / "dubai.tif"
CLASSES = ["building", "land", "road", "vegetation", "water"]


@pytest.fixture(scope="session")
def provider(qgis_app, qgis_processing):
    """The plugin's provider, in the registry as long as the tests last."""
    from qgis.analysis import QgsNativeAlgorithms

    from scasnet_qgis.algorithms.provider import ScasNetProvider

    registry = QgsApplication.processingRegistry()
    if registry.providerById("native") is None:
        registry.addProvider(QgsNativeAlgorithms(registry))
    ours = ScasNetProvider()
    registry.addProvider(ours)
    yield ours
    registry.removeProvider(ours)


class RecordingFeedback(QgsProcessingFeedback):
    """Keeps what an algorithm says; cancels itself once a share of the work is done."""

    def __init__(self, cancel_at: float = 101.0) -> None:
        super().__init__(False)
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.steps: list[float] = []
        self._cancel_at = cancel_at
        self.progressChanged.connect(self._progressed)

    def _progressed(self, percent: float) -> None:
        self.steps.append(percent)
        if percent >= self._cancel_at:
            self.cancel()

    def pushInfo(self, info: str) -> None:
        self.lines.append(info)

    def pushWarning(self, warning: str) -> None:
        self.warnings.append(warning)


@pytest.fixture
def feedback():
    result = RecordingFeedback()
    yield result
    sip.delete(result)  # pytest would keep it until QGIS is gone, and crash then


@pytest.fixture
def context():
    result = QgsProcessingContext()
    result.setProject(QgsProject.instance())
    yield result
    sip.delete(result)


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> Path:
    """A corner of the demo image, 300 x 260 pixels, with its place."""
    path = tmp_path_factory.mktemp("image") / "corner.tif"
    dataset = gdal.Translate(str(path), str(DEMO), srcWin=[400, 500, 300, 260])
    assert dataset is not None
    dataset = None
    return path


@pytest.fixture
def run(provider, context, feedback):
    """Run an algorithm as a script would, and give its outputs."""
    import processing

    def call(algorithm: str, **parameters):
        return processing.run(algorithm, parameters, context=context, feedback=feedback)

    return call


@pytest.fixture
def refused(run):
    """Run an algorithm that must refuse, and give its one sentence."""

    def call(algorithm: str, **parameters) -> str:
        with pytest.raises(QgsProcessingException) as caught:
            run(algorithm, **parameters)
        sentence = str(caught.value).replace("Unable to execute algorithm\n", "")
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        return sentence

    return call


@pytest.fixture
def cancelled(provider, context):
    """Run an algorithm that is cancelled at a share of its work, and give what it said."""
    import processing

    def call(algorithm: str, percent: float, **parameters) -> RecordingFeedback:
        feedback = RecordingFeedback(cancel_at=percent)
        assert processing.run(algorithm, parameters, context=context, feedback=feedback) == {}
        assert feedback.isCanceled()
        return feedback

    return call


@pytest.fixture
def training_python(qgis_app):
    """Choose the Python that trains, as in QGIS's options, until the test is over."""
    key = "Processing/Configuration/SCASNET_TORCH_PYTHON"
    before = QgsSettings().value(key)
    yield lambda path: QgsSettings().setValue(key, str(path))
    QgsSettings().remove(key)
    if before is not None:
        QgsSettings().setValue(key, before)


def parse_results(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The outputs of a `qgis_process --json run` that must have worked."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"]


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A part of the demo image of nearly 4 x 4 tiles."""
    return gdal.Open(str(DEMO)).ReadAsArray(0, 0, 1000, 1000)[:3]


@pytest.fixture
def service(picture, monkeypatch):
    from scasnet_qgis.qgis_ui.layers import layer_renderer

    monkeypatch.setattr(layer_renderer, "PAUSES", (0.05, 0.05))
    with serving(picture) as found:
        yield found


@pytest.fixture
def layer(qgis_app, service):
    """That image as a web layer in the project."""
    result = QgsRasterLayer(service.xyz, "tiles", "wms")
    assert result.isValid()
    QgsProject.instance().addMapLayer(result)
    yield result
    QgsProject.instance().removeAllMapLayers()


def pixels(path: Path | str) -> np.ndarray:
    """All bands of a raster as an array."""
    return gdal.Open(str(path)).ReadAsArray()


def qgis_process(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run QGIS's own command-line program with this checkout's plugin."""
    return subprocess.run(
        [str(ROOT / "scripts" / "qgis_process"), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def legend_of(layer: QgsRasterLayer) -> list[str]:
    """The rows of a layer's legend, but for its heading."""
    nodes = layer.legend().createLayerTreeModelLegendNodes(QgsLayerTreeLayer(layer))
    texts = [node.data(Qt.ItemDataRole.DisplayRole) for node in nodes]
    return [text for text in texts if not text.startswith("Band 1")]


def leftovers(folder: Path, *expected: str) -> list[str]:
    """Names in a folder that are not expected."""
    return sorted(path.name for path in folder.iterdir() if path.name not in expected)
