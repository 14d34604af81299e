"""scasnet:samplepoints in a real QGIS, and the way from the map over the labels to the figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import ogr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsProcessingException,
    QgsProject,
    QgsValueMapFieldFormatter,
    QgsVectorLayer,
    edit,
)

from tests.accuracy.conftest import NAMES, name_classes, noisy, patches
from tests.real_qgis import leftovers, qgis_process

TRUTH = patches(130, 150, 1, size=10)
MAPPED = noisy(TRUTH, 2)
MAPPED[:, :9] = 0
SIDE_FILES = ("map.tif", "map.tif.aux.xml")
DESIGN = ("map_class", "map_value", "map_pixels", "map_area", "all_pixels", "area_unit")


@pytest.fixture
def mapped(make_raster) -> str:
    return name_classes(make_raster(MAPPED, "map.tif", nodata=0))


def opened(path: Path | str) -> QgsVectorLayer:
    layer = QgsVectorLayer(str(path), "sample")
    assert layer.isValid()
    return layer


def label(layer: QgsVectorLayer) -> None:
    """As a person would in QGIS, who knows the truth."""
    with edit(layer):
        for feature in layer.getFeatures():
            place = feature.geometry().asPoint()
            col, row = int((place.x() - 500000.0) / 0.5), int((4000000.0 - place.y()) / 0.5)
            feature["reference"] = NAMES[TRUTH[row, col] - 1]
            layer.updateFeature(feature)


def check_form(layer: QgsVectorLayer) -> None:
    """The form offers the classes and shows nothing of the map."""
    widget = layer.editorWidgetSetup(layer.fields().indexOf("reference"))
    assert widget.type() == "ValueMap"
    offered = {key: value for choice in widget.config()["map"] for key, value in choice.items()}
    empty = QgsValueMapFieldFormatter.NULL_VALUE
    assert offered == {"not labelled yet": empty, **{name: name for name in NAMES}}
    kinds = {name: layer.editorWidgetSetup(layer.fields().indexOf(name)).type() for name in DESIGN}
    assert set(kinds.values()) == {"Hidden"}
    columns = layer.attributeTableConfig().columns()
    hidden = {column.name for column in columns if column.hidden}
    assert hidden - {""} == set(DESIGN), "beside the column of actions"
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.renderer().classAttribute() == "reference"
    shown = [category.label() for category in layer.renderer().categories()]
    assert shown == [*NAMES, "not labelled yet"]


def test_sample_with_its_form_in_one_file(run, mapped, tmp_path):
    target = tmp_path / "sample.gpkg"
    outputs = run(
        "scasnet:samplepoints", MAP=mapped, SAMPLES=100, MIN_PER_CLASS=10, OUTPUT=str(target)
    )
    assert leftovers(tmp_path, *SIDE_FILES) == ["sample.gpkg"]
    layer = opened(target)
    assert layer.featureCount() == outputs["POINTS"] == 100
    assert layer.crs().authid() == "EPSG:32640"
    strata = json.loads(outputs["STRATA"])
    assert [entry["name"] for entry in strata] == list(NAMES)
    assert [entry["pixels"] for entry in strata] == np.bincount(MAPPED.ravel())[1:].tolist()
    assert outputs["AREA_UNIT"] == "m2"
    check_form(layer)


def test_from_the_map_over_the_labels_to_the_areas(run, mapped, tmp_path, feedback):
    target = str(tmp_path / "sample.gpkg")
    run("scasnet:samplepoints", MAP=mapped, SAMPLES=300, OUTPUT=target)
    with pytest.raises(QgsProcessingException, match="reference"):
        run("scasnet:evaluate", MAP=mapped, REFERENCE=target)
    label(opened(target))
    report = tmp_path / "report.html"
    outputs = run(
        "scasnet:evaluate", MAP=mapped, REFERENCE=target, AREA_ADJUSTED="yes", REPORT=str(report)
    )
    assert outputs["SAMPLES"] == 300
    figures = json.loads(outputs["AREA_ADJUSTED_FIGURES"])
    kept = MAPPED > 0
    overall = figures["overall_accuracy"]
    assert overall["value"] == pytest.approx((TRUTH == MAPPED)[kept].mean(), abs=0.06)
    assert 0.01 < overall["half_width"] < 0.06
    for value, entry in enumerate(figures["classes"], start=1):
        truth = (TRUTH[kept] == value).sum() * 0.25
        assert abs(entry["area"]["value"] - truth) < 2 * entry["area"]["half_width"]
        assert entry["mapped_area"] == (value == MAPPED).sum() * 0.25
    assert "Olofsson" in report.read_text(encoding="utf-8")
    with pytest.raises(QgsProcessingException, match="300"):
        run("scasnet:samplepoints", MAP=mapped, OUTPUT=target)


def test_labels_in_an_open_edit_session_are_asked_to_be_saved(run, mapped, tmp_path):
    target = str(tmp_path / "sample.gpkg")
    run("scasnet:samplepoints", MAP=mapped, SAMPLES=150, OUTPUT=target)
    layer = opened(target)
    layer.startEditing()
    layer.changeAttributeValue(1, layer.fields().indexOf("reference"), "water")
    with pytest.raises(QgsProcessingException, match="sample"):
        run("scasnet:evaluate", MAP=mapped, REFERENCE=layer)
    layer.rollBack()


@pytest.mark.parametrize("ending", ["gpkg", "shp"])
def test_toolbox_run_adds_a_layer_ready_to_label(provider, mapped, tmp_path, ending):
    import processing

    target = str(tmp_path / f"sample.{ending}")
    parameters = {"MAP": mapped, "SAMPLES": 60, "MIN_PER_CLASS": 5, "OUTPUT": target}
    processing.runAndLoadResults("scasnet:samplepoints", parameters)
    layers = list(QgsProject.instance().mapLayers().values())
    assert len(layers) == 1
    check_form(layers[0])
    QgsProject.instance().removeAllMapLayers()


def test_a_temporary_sample(run, mapped):
    outputs = run("scasnet:samplepoints", MAP=mapped, SAMPLES=150, OUTPUT="TEMPORARY_OUTPUT")
    assert opened(outputs["OUTPUT"]).featureCount() == 150


def test_standard_error_instead_of_a_number(run, mapped, tmp_path, feedback):
    outputs = run(
        "scasnet:samplepoints", MAP=mapped, TARGET_ERROR=0.02, OUTPUT=str(tmp_path / "sample.gpkg")
    )
    assert 385 < outputs["POINTS"] < 400
    assert any("0.02" in line for line in feedback.lines)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SAMPLES": 100}, r"100\b.*3\b.*50\b"),
        ({"OUTPUT": "sample.tab"}, r"\.gpkg"),
        ({"EXTENT": "1,2,1,2"}, "500000"),
    ],
)
def test_bad_input_is_one_sentence(run, mapped, tmp_path, change, sentence):
    parameters = {"MAP": mapped, "OUTPUT": "sample.gpkg", **change}
    parameters["OUTPUT"] = str(tmp_path / parameters["OUTPUT"])
    with pytest.raises(QgsProcessingException, match=sentence):
        run("scasnet:samplepoints", **parameters)
    assert leftovers(tmp_path, *SIDE_FILES) == []


def test_an_image_is_no_map(run, image, tmp_path):
    with pytest.raises(QgsProcessingException, match="3"):
        run("scasnet:samplepoints", MAP=str(image), OUTPUT=str(tmp_path / "sample.gpkg"))


def test_cancelled_run_leaves_nothing(cancelled, mapped, tmp_path):
    target = str(tmp_path / "sample.gpkg")
    cancelled("scasnet:samplepoints", 20.0, MAP=mapped, SAMPLES=150, OUTPUT=target)
    assert leftovers(tmp_path, *SIDE_FILES) == []


def test_command_line(mapped, tmp_path):
    target = tmp_path / "Stichprobe ä.gpkg"
    done = qgis_process(
        "run", "scasnet:samplepoints", "--", f"MAP={mapped}", "SAMPLES=200", f"OUTPUT={target}"
    )
    assert done.returncode == 0, done.stderr
    assert ogr.Open(str(target)).GetLayer(0).GetFeatureCount() == 200
    assert leftovers(tmp_path, *SIDE_FILES) == [target.name]
