"""scasnet:train in a real QGIS, with a real training process: small, but from end to end."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterRasterLayer,
    QgsProject,
)
from qgis.PyQt.QtCore import QEventLoop, QTimer

from scasnet_qgis.models.model_file import inspect
from tests.algorithms.graphical_models import Source, graphical_model
from tests.qgis_ui import fields
from tests.real_qgis import RecordingFeedback, parse_results, pixels, qgis_process

SMALL = {
    "START_FROM": "nothing",
    "WIDTH": 0.0625,
    "TILE_SIZE": 64,
    "BATCH_SIZE": 2,
    "EPOCHS": 1,
    "LEARNING_RATE": 0.003,
    "DEVICE": "cpu",
    "THREADS": 1,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    fields.write_image(folder / "west.tif", 3)
    fields.write_image(folder / "east.tif", 4, shift=600)
    fields.write_labels(folder / "west_truth.tif", 3)
    fields.write_labels(folder / "east_truth.tif", 4, shift=600)
    return folder


@pytest.fixture(autouse=True)
def python_with_torch(provider, training_python):
    training_python(sys.executable)


def _batch(rows: list[dict]) -> list[tuple[bool, dict, RecordingFeedback]]:
    """As the batch dialog does: one instance, run again and again with a context of its own."""
    from processing.tools import dataobjects

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("scasnet:train")
    results = []
    for row in rows:
        feedback = RecordingFeedback()
        context = dataobjects.createContext(feedback)
        outputs, done = algorithm.run(algorithm.preprocessParameters(row), context, feedback)
        results.append((done, outputs, feedback))
    return results


def test_polygons_become_a_model_after_a_row_that_was_refused(run, place, tmp_path):
    model = tmp_path / "fields.onnx"
    row = {
        **SMALL,
        "INPUT": [str(place / "west.tif")],
        "LABELS": [fields.polygons()],
        "CLASS_FIELD": "kind",
        "MODEL_NAME": "Fields",
        "MODEL": str(model),
        "EPOCHS": 20,
        "LEARNING_RATE": 0.005,
    }
    refused, trained = _batch([{**row, "CLASS_FIELD": "cover"}, row])
    assert not refused[0]
    assert "'cover'" in refused[2].textLog()
    done, outputs, feedback = trained
    assert done, feedback.textLog()
    card = inspect(model).card
    assert card.name == "Fields"
    assert [(entry.name, entry.color) for entry in card.classes] == [
        ("Meadow", "#3c8c3c"),
        ("Sand", "#c8be96"),
        ("Lake", "#2850aa"),
    ]
    assert outputs["MODEL"] == str(model)
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(card.accuracy["overall_accuracy"])
    assert outputs["OVERALL_ACCURACY"] > 0.8
    assert set(json.loads(outputs["CLASS_ACCURACY"])) == {"Meadow", "Sand", "Lake"}
    assert outputs["STEPS"] > 0
    assert outputs["EPOCHS_DONE"] == pytest.approx(20, abs=1)
    assert outputs["RESUMED"] is False
    report = tmp_path / "fields_report.html"
    assert outputs["REPORT"] == str(report)
    assert "Meadow" in report.read_text(encoding="utf-8")
    assert feedback.steps[-1] == pytest.approx(100)
    assert any("Meadow, Sand, Lake" in line for line in feedback.lines)
    target = str(tmp_path / "m.tif")
    run("scasnet:segment", INPUT=str(place / "west.tif"), MODEL=str(model), OUTPUT=target)
    wanted = np.select([fields.values() == value for value in fields.NAMES], [1, 2, 3])
    assert (pixels(target) == wanted).mean() > 0.8


def _in_the_toolbox(parameters: dict, cancel_at: float) -> QgsProcessingFeedback:
    """Run in a worker thread of QGIS's task manager, and cancel once a share is done."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("scasnet:train")
    feedback, context = QgsProcessingFeedback(False), QgsProcessingContext()
    context.setProject(QgsProject.instance())
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    ended: list[bool] = []
    loop = QEventLoop()
    task.executed.connect(lambda done, _outputs: (ended.append(done), loop.quit()))
    task.progressChanged.connect(lambda percent: percent >= cancel_at and task.cancel())
    QgsApplication.taskManager().addTask(task)
    QTimer.singleShot(240_000, loop.quit)
    loop.exec()
    assert ended
    return feedback


def test_cancel_in_the_toolbox_leaves_the_best_model_and_the_same_run_goes_on(run, tmp_path):
    """With folders of equally named images of one band."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for seed, name in enumerate("ab"):
        fields.write_image(tmp_path / "images" / f"{name}.tif", seed, bands=1)
        fields.write_labels(tmp_path / "labels" / f"{name}.tif", seed)
    model = tmp_path / "m.onnx"
    parameters = {
        **SMALL,
        "IMAGE_FOLDER": str(tmp_path / "images"),
        "LABEL_FOLDER": str(tmp_path / "labels"),
        "MODEL": str(model),
        "REPORT": str(tmp_path / "told.html"),
        "EPOCHS": 50,
    }
    feedback = _in_the_toolbox(parameters, cancel_at=9.0)
    assert "cancelled" in feedback.textLog()
    assert inspect(model).card.bands == ("grey",)
    assert (tmp_path / "told.html").exists()
    model.unlink()
    again = run("scasnet:train", **{**parameters, "EPOCHS": 6, "REPORT": None})
    assert again["RESUMED"] is True
    assert 0 < again["EPOCHS_DONE"] < 50
    assert "REPORT" not in again
    assert model.exists()


@pytest.mark.long
def test_map_of_a_model_trained_in_a_graphical_model(provider, context, place, tmp_path):
    """Train on one image, measure on another, map the first: all in one graphical model."""
    import processing

    names = ("image", "labels", "other_image", "other_labels")
    given = {name: Source.fromModelParameter(name) for name in names}
    layers = ("INPUT", "LABELS", "VALIDATION_INPUT", "VALIDATION_LABELS")
    training = {**dict(zip(layers, given.values())), "MODEL": str(tmp_path / "m.onnx"), **SMALL}
    mapping = {"INPUT": given["image"], "MODEL": Source.fromChildOutput("train", "MODEL")}
    steps = {"train": ("scasnet:train", training), "segment": ("scasnet:segment", mapping)}
    inputs = [QgsProcessingParameterRasterLayer(name, name) for name in names]
    model, name = graphical_model(inputs, steps, "segment")
    parameters = {
        "image": str(place / "west.tif"),
        "labels": str(place / "west_truth.tif"),
        "other_image": str(place / "east.tif"),
        "other_labels": str(place / "east_truth.tif"),
        name: str(tmp_path / "map.tif"),
    }
    feedback = QgsProcessingFeedback(False)
    processing.run(model, parameters, context=context, feedback=feedback)
    assert pixels(tmp_path / "map.tif").shape == (fields.ROWS, fields.COLS)
    card = inspect(tmp_path / "m.onnx").card
    assert card.class_names == ["class 1", "class 2", "class 5"]
    assert "east" in card.accuracy["data"]
    QgsProject.instance().removeAllMapLayers()


@pytest.mark.long
def test_command_line_trains(place, tmp_path):
    values = [f"{name}={value}" for name, value in SMALL.items()]
    images = [f"INPUT={place / name}" for name in ("west.tif", "east.tif")]
    labels = [f"LABELS={place / name}" for name in ("west_truth.tif", "east_truth.tif")]
    values += [*images, *labels, f"MODEL={tmp_path / 'm.onnx'}"]
    done = qgis_process("--json", "run", "scasnet:train", "--", *values, timeout=300)
    results = parse_results(done)
    assert results["STEPS"] > 0
    assert results["MODEL"] == str(tmp_path / "m.onnx")
    assert results["REPORT"] == str(tmp_path / "m_report.html")
