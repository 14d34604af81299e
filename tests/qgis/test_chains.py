"""The algorithm inside a graphical model, in batch, and from the command line."""

from __future__ import annotations

import json

import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsVectorLayer,
)

from tests.qgis.conftest import CLASSES, leftovers, pixels, qgis_process

Source = QgsProcessingModelChildParameterSource


def _child(name: str, algorithm: str, sources: dict[str, list]) -> QgsProcessingModelChildAlgorithm:
    child = QgsProcessingModelChildAlgorithm(algorithm)
    child.setChildId(name)
    for key, value in sources.items():
        child.addParameterSources(key, value)
    return child


def _zonal_model() -> QgsProcessingModelAlgorithm:
    """Image -> land cover -> grid of zones -> share of the classes in each zone."""
    model = QgsProcessingModelAlgorithm("zones", "zones", "tests")
    parameter = QgsProcessingParameterRasterLayer("image", "image")
    model.addModelParameter(parameter, QgsProcessingModelParameter("image"))
    image = Source.fromModelParameter("image")
    segment = _child("segment", "scasnet:segment", {"INPUT": [image]})
    zones = _child(
        "grid",
        "native:creategrid",
        {
            "TYPE": [Source.fromStaticValue(2)],
            "EXTENT": [image],
            "HSPACING": [Source.fromStaticValue(100)],
            "VSPACING": [Source.fromStaticValue(100)],
            "CRS": [image],
        },
    )
    histogram = _child(
        "histogram",
        "native:zonalhistogram",
        {
            "INPUT_RASTER": [Source.fromChildOutput("segment", "OUTPUT")],
            "INPUT_VECTOR": [Source.fromChildOutput("grid", "OUTPUT")],
            "COLUMN_PREFIX": [Source.fromStaticValue("class_")],
        },
    )
    output = QgsProcessingModelOutput("zones", "zones")
    output.setChildId("histogram")
    output.setChildOutputName("OUTPUT")
    histogram.setModelOutputs({"zones": output})
    for child in (segment, zones, histogram):
        model.addChildAlgorithm(child)
    return model


def test_model_of_segment_and_zonal_histogram(provider, context, feedback, image, tmp_path):
    import processing

    model = _zonal_model()
    model.initAlgorithm()
    name = model.destinationParameterDefinitions()[0].name()  # QGIS makes it up
    parameters = {"image": str(image), name: str(tmp_path / "zones.gpkg")}
    outputs = processing.run(model, parameters, context=context, feedback=feedback)
    zones = QgsVectorLayer(outputs[name], "zones")
    columns = [each.name() for each in zones.fields() if each.name().startswith("class_")]
    assert columns
    counted = sum(feature[column] or 0 for feature in zones.getFeatures() for column in columns)
    assert counted == 300 * 260
    QgsProject.instance().removeAllMapLayers()


def test_batch_gives_each_image_its_map(run, image, tmp_path):
    """As the batch dialog does: one instance after the other, each with its own parameters."""
    other = tmp_path / "other.tif"
    gdal.Translate(str(other), str(image), srcWin=[0, 0, 120, 90])
    for source, name in ((image, "first.tif"), (other, "second.tif")):
        run("scasnet:segment", INPUT=str(source), OUTPUT=str(tmp_path / name))
    assert pixels(tmp_path / "first.tif").shape == (260, 300)
    assert pixels(tmp_path / "second.tif").shape == (90, 120)


def test_command_line_makes_the_same_map(run, image, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "here.tif"))
    done = qgis_process(
        "--json",
        "run",
        "scasnet:segment",
        "--",
        f"INPUT={image}",
        f"OUTPUT={tmp_path / 'there.tif'}",
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    statistics = json.loads(results["CLASS_STATISTICS"])
    assert [each["name"] for each in statistics] == CLASSES
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
    expected = ["Karte ö.tif", "Karte ö.qml", "Karte ö.tif.aux.xml"]
    statistics = source.name + ".aux.xml"  # QGIS itself leaves them beside a raster it loads
    assert all((folder / name).exists() for name in expected)
    assert leftovers(folder, source.name, statistics, *expected) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BANDS=7"], "Band"),
        (["MODEL=/nowhere/model.onnx"], "/nowhere/model.onnx"),
    ],
)
def test_command_line_failure_is_exit_code_1_and_one_line(image, tmp_path, arguments, words):
    done = qgis_process(
        "run", "scasnet:segment", "--", f"INPUT={image}", f"OUTPUT={tmp_path / 'm.tif'}", *arguments
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert sum(words in line for line in (done.stderr + done.stdout).splitlines()) >= 1
    assert leftovers(tmp_path) == []


def test_check_setup_names_every_part(run, feedback):
    outputs = run("scasnet:checksetup")
    for part in ("QGIS 3", "Python 3", "numpy ", "GDAL ", "ONNX Runtime ", "CPUExecutionProvider"):
        assert part in outputs["REPORT"], part
    assert outputs["READY"] is True
