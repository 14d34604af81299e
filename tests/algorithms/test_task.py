"""The algorithm in a worker thread of QGIS's task manager, as the toolbox runs it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QTimer

from tests.models import tiny_models
from tests.real_qgis import CLASSES, DEMO, leftovers, legend_of
from tests.tile_server import LEFT, PIXEL, TOP, serving


class Run:
    """A run in a worker thread, with what the toolbox keeps for it in the main thread."""

    def __init__(self, target: Path, **parameters: Any) -> None:
        sink = QgsProcessingOutputLayerDefinition(str(target), QgsProject.instance())
        self.parameters = {**parameters, "OUTPUT": sink}
        registry = QgsApplication.processingRegistry()
        self.algorithm = registry.createAlgorithmById("scasnet:segment")
        self.feedback = QgsProcessingFeedback(False)
        self.context = QgsProcessingContext()
        self.context.setProject(QgsProject.instance())
        self.context.setFeedback(self.feedback)
        self.ended: list[tuple[bool, dict[str, Any]]] = []
        self.task = QgsProcessingAlgRunnerTask(
            self.algorithm, self.parameters, self.context, self.feedback
        )
        self.task.executed.connect(lambda *result: self.ended.append(result))
        QgsApplication.taskManager().addTask(self.task)

    def wait(self, condition: Callable[[], Any], seconds: float) -> float:
        """Let QGIS work until something is so; gives the seconds it took."""
        started = time.monotonic()
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: condition() and loop.quit())
        timer.start(20)
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec_()
        timer.stop()
        assert condition(), f"not within {seconds} seconds"
        return time.monotonic() - started


@pytest.fixture
def project(provider):
    yield QgsProject.instance()
    QgsProject.instance().removeAllMapLayers()


def test_layer_is_styled_when_the_task_is_done(project, image, tmp_path):
    from processing.gui.Postprocessing import handleAlgorithmResults

    target = tmp_path / "map.tif"
    run = Run(target, INPUT=str(image))
    run.wait(lambda: run.ended, 60)
    done, outputs = run.ended[0]
    assert done
    assert outputs["OUTPUT"] == str(target)
    assert list(run.context.layersToLoadOnCompletion()) == [str(target)]
    parameters = run.parameters
    assert handleAlgorithmResults(run.algorithm, run.context, run.feedback, True, parameters)
    (layer,) = project.mapLayers().values()
    assert legend_of(layer) == CLASSES
    assert [entry.label for entry in layer.renderer().classes()] == CLASSES


def test_layer_of_the_project_can_be_the_input(project, image, tmp_path):
    layer = QgsRasterLayer(str(image), "image")
    project.addMapLayer(layer)
    run = Run(tmp_path / "map.tif", INPUT=layer.id())
    run.wait(lambda: run.ended, 60)
    assert run.ended[0][0]
    assert (tmp_path / "map.tif").exists()


def test_error_in_the_task_is_reported_and_leaves_nothing(project, image, tmp_path):
    run = Run(tmp_path / "map.tif", INPUT=str(image), BANDS=[1, 2, 9])
    run.wait(lambda: run.ended, 60)
    assert run.ended == [(False, {})]
    assert "Band 9 does not exist" in run.feedback.textLog()
    assert "Traceback" not in run.feedback.textLog()
    assert leftovers(tmp_path) == []


def test_task_cancelled_inside_a_tile_ends_within_two_seconds(project, tmp_path):
    """One tile that takes far longer than that; its work folder shows that the run is under way."""
    model = tiny_models.slow(tmp_path / "slow.onnx")
    source = tmp_path / "image.tif"
    gdal.Translate(str(source), str(DEMO), width=1024, height=1024)
    settings = {"MODEL": str(model), "TILE_SIZE": 1024, "OVERLAP": 0, "THREADS": 1}
    run = Run(tmp_path / "map.tif", INPUT=str(source), **settings)
    run.wait(lambda: any(tmp_path.glob(".map.part-*")), 30)
    started = time.monotonic()
    run.wait(lambda: time.monotonic() > started + 1.0, 5)
    assert not run.ended
    run.task.cancel()
    assert run.wait(lambda: run.ended, 20) < 2
    run.wait(lambda: not QgsApplication.taskManager().activeTasks(), 2)
    assert run.ended[0][1] == {}
    assert leftovers(tmp_path, "slow.onnx", "image.tif", "image.tif.aux.xml") == []


def test_task_on_a_web_layer_ends_soon_when_it_is_cancelled(project, tmp_path):
    """It waits for the network in a worker of its own; a run that is let go on gives a map."""
    image = gdal.Open(str(DEMO)).ReadAsArray(0, 0, 256, 256)[:3]
    with serving(image) as service:
        layer = QgsRasterLayer(service.xyz, "tiles", "wms")
        project.addMapLayer(layer)
        west, north = LEFT, TOP
        box = f"{west},{west + 200 * PIXEL},{north - 200 * PIXEL},{north} [EPSG:3857]"
        service.delay = 30.0
        run = Run(tmp_path / "map.tif", INPUT=layer.id(), EXTENT=box)
        run.wait(lambda: service.requests, 30)
        run.task.cancel()
        assert run.wait(lambda: run.ended, 20) < 2
        run.wait(lambda: not QgsApplication.taskManager().activeTasks(), 2)
        assert leftovers(tmp_path) == []
        service.delay = 0.0
        run = Run(tmp_path / "map.tif", INPUT=layer.id(), EXTENT=box)
        run.wait(lambda: run.ended, 60)
        assert run.ended[0][0]
    assert gdal.Open(str(tmp_path / "map.tif")).ReadAsArray().all()
