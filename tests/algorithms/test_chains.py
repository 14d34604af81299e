"""The algorithm inside a graphical model, in batch, and from the command line."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsVectorLayer,
)

from scasnet_qgis import environment as dependencies
from tests.algorithms.graphical_models import Source, graphical_model
from tests.real_qgis import CLASSES, leftovers, legend_of, parse_results, pixels, qgis_process


def test_model_of_segment_and_zonal_histogram(provider, context, feedback, image, tmp_path):
    """Image -> land cover -> grid of zones -> share of the classes in each zone."""
    import processing

    given = Source.fromModelParameter("image")
    zones = {"TYPE": 2, "EXTENT": given, "HSPACING": 100, "VSPACING": 100, "CRS": given}
    histogram = {
        "INPUT_RASTER": Source.fromChildOutput("segment", "OUTPUT"),
        "INPUT_VECTOR": Source.fromChildOutput("grid", "OUTPUT"),
        "COLUMN_PREFIX": "class_",
    }
    steps = {
        "segment": ("scasnet:segment", {"INPUT": given}),
        "grid": ("native:creategrid", zones),
        "histogram": ("native:zonalhistogram", histogram),
    }
    inputs = [QgsProcessingParameterRasterLayer("image", "image")]
    model, name = graphical_model(inputs, steps, "histogram")
    parameters = {"image": str(image), name: str(tmp_path / "zones.gpkg")}
    outputs = processing.run(model, parameters, context=context, feedback=feedback)
    zones = QgsVectorLayer(outputs[name], "zones")
    columns = [field.name() for field in zones.fields() if field.name().startswith("class_")]
    assert columns
    counted = sum(feature[column] or 0 for feature in zones.getFeatures() for column in columns)
    assert counted == 300 * 260
    QgsProject.instance().removeAllMapLayers()


def test_batch_gives_each_image_its_map(run, provider, image, tmp_path):
    """As the batch dialog does: one instance, run again and again with a context of its own."""
    from processing.gui.Postprocessing import handleAlgorithmResults
    from processing.tools import dataobjects

    other = tmp_path / "other.tif"
    gdal.Translate(str(other), str(image), srcWin=[0, 0, 120, 90])
    place = gdal.Open(str(other)).GetGeoTransform()
    box = f"{place[0]},{place[0] + 40 * place[1]},{place[3] + 30 * place[5]},{place[3]}"
    rows = [
        {"INPUT": str(other), "EXTENT": box, "BANDS": [3, 2, 1]},
        {"INPUT": str(image), "TILE_SIZE": 128, "OVERLAP": 32},
        {"INPUT": str(other)},  # nothing of the rows before may stick
    ]
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("scasnet:segment")
    feedback = QgsProcessingFeedback(False)
    for number, row in enumerate(rows):
        target = str(tmp_path / f"batch{number}.tif")
        sink = QgsProcessingOutputLayerDefinition(target, QgsProject.instance())
        parameters = algorithm.preprocessParameters({**row, "OUTPUT": sink})
        context = dataobjects.createContext(feedback)
        outputs, done = algorithm.run(parameters, context, feedback)
        assert done
        assert outputs["OUTPUT"] == target
        assert handleAlgorithmResults(algorithm, context, feedback, False, parameters)
        run("scasnet:segment", **row, OUTPUT=str(tmp_path / f"single{number}.tif"))
    for number, shape in enumerate([(30, 40), (260, 300), (90, 120)]):
        labels = pixels(tmp_path / f"batch{number}.tif")
        assert labels.shape == shape
        assert (labels == pixels(tmp_path / f"single{number}.tif")).all()
    layers = QgsProject.instance().mapLayers().values()
    assert [legend_of(layer) for layer in layers] == [CLASSES] * 3
    QgsProject.instance().removeAllMapLayers()


def test_command_line_makes_the_same_map(run, image, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "here.tif"))
    values = (f"INPUT={image}", f"OUTPUT={tmp_path / 'there.tif'}")
    results = parse_results(qgis_process("--json", "run", "scasnet:segment", "--", *values))
    statistics = json.loads(results["CLASS_STATISTICS"])
    assert [entry["name"] for entry in statistics] == CLASSES
    assert (pixels(tmp_path / "here.tif") == pixels(tmp_path / "there.tif")).all()
    assert (tmp_path / "there.qml").exists()


def test_command_line_with_umlauts_and_spaces(image, tmp_path):
    folder = tmp_path / "Straße und 'Wasser'"
    folder.mkdir()
    source = folder / "Bild ä.tif"
    source.write_bytes(image.read_bytes())
    done = qgis_process(
        "run", "scasnet:segment", "--", f"INPUT={source}", f"OUTPUT={folder / 'Karte ö.tif'}"
    )
    assert done.returncode == 0, done.stderr
    expected = ["Karte ö.tif", "Karte ö.qml", "Karte ö.tif.aux.xml", "Karte ö.tif.scasnet"]
    statistics = source.name + ".aux.xml"  # QGIS itself leaves them beside a raster it loads
    assert all((folder / name).exists() for name in expected)
    assert leftovers(folder, source.name, statistics, *expected) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["BANDS=1", "BANDS=2", "BANDS=9"], "Band 9 does not exist: the image has bands 1 to 3."),
        (["BANDS=1;2;9"], "Band 9 does not exist: the image has bands 1 to 3."),
        (
            ["MODEL=/nowhere/m.onnx"],
            "The model file /nowhere/m.onnx does not exist or cannot be read: choose another file.",
        ),
    ],
)
def test_command_line_failure_is_exit_code_1_and_one_sentence(image, tmp_path, arguments, sentence):
    """QGIS says the sentence up to three times; beside it stands only QGIS's own heading."""
    done = qgis_process(
        "run", "scasnet:segment", "--", f"INPUT={image}", f"OUTPUT={tmp_path / 'm.tif'}", *arguments
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    heading = "An error was encountered while checking parameter values"
    texts = {line.removeprefix("ERROR:").strip() for line in said}
    assert sentence in texts
    assert texts <= {sentence, heading}
    assert leftovers(tmp_path) == []


def test_check_setup_names_every_part(run, feedback):
    outputs = run("scasnet:checksetup")
    parts = ("QGIS 3", "Python 3", "numpy ", "GDAL ", "ONNX Runtime ", "protobuf ")
    for part in (*parts, "CPUExecutionProvider"):
        assert part in outputs["REPORT"], part
    assert outputs["READY"] is True


@pytest.mark.parametrize("there", [True, False])
def test_check_setup_shows_a_page_that_says_what_the_log_says(
    run, feedback, tmp_path, monkeypatch, there
):
    if not there:
        monkeypatch.setattr(dependencies, "version_of", lambda _package: None)
    page = tmp_path / "report.html"
    outputs = run("scasnet:checksetup", HTML=str(page))
    assert outputs["HTML"] == str(page)
    assert outputs["READY"] is there
    shown = [unescape(text) for text in re.findall(r"<(?:p|pre)>(.*?)</", page.read_text("utf-8"))]
    assert shown == outputs["REPORT"].split("\n")
    assert shown == [line for line in feedback.lines if line in shown]
    assert leftovers(tmp_path) == ["report.html"]


def test_check_setup_without_protobuf(run, feedback, monkeypatch):
    found = dependencies.version_of
    monkeypatch.setattr(
        dependencies, "version_of", lambda name: None if name == "protobuf" else found(name)
    )
    outputs = run("scasnet:checksetup")
    assert outputs["READY"] is False
    assert '" protobuf' in outputs["REPORT"]
