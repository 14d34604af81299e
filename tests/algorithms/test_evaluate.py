"""scasnet:evaluate in a real QGIS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRendererCategory,
    QgsVectorLayer,
)
from sklearn import metrics

from tests.accuracy.conftest import NAMES, box, make_layer, name_classes, noisy, patches, point
from tests.algorithms.graphical_models import Source, graphical_model
from tests.real_qgis import leftovers, parse_results, qgis_process

TRUTH = patches(90, 110, 1)
MAPPED = noisy(TRUTH, 2)
COUNTS = metrics.confusion_matrix(TRUTH.ravel(), MAPPED.ravel())


@pytest.fixture
def mapped(make_raster) -> str:
    return name_classes(make_raster(MAPPED, "map.tif", nodata=0))


@pytest.fixture
def truth(make_raster) -> str:
    return name_classes(make_raster(TRUTH, "truth.tif", nodata=0))


def test_figures_come_back_as_outputs_and_as_files(run, mapped, truth, tmp_path, feedback):
    files = {
        "REPORT": str(tmp_path / "r.html"),
        "CSV": str(tmp_path / "r.csv"),
        "JSON": str(tmp_path / "r.json"),
    }
    outputs = run("scasnet:evaluate", MAP=mapped, REFERENCE=truth, **files)
    assert json.loads(outputs["CONFUSION"]) == COUNTS.tolist()
    expected = {
        "OVERALL_ACCURACY": metrics.accuracy_score(TRUTH.ravel(), MAPPED.ravel()),
        "KAPPA": metrics.cohen_kappa_score(TRUTH.ravel(), MAPPED.ravel()),
        "MEAN_IOU": metrics.jaccard_score(TRUTH.ravel(), MAPPED.ravel(), average="macro"),
        "MEAN_F1": metrics.f1_score(TRUTH.ravel(), MAPPED.ravel(), average="macro"),
        "MEAN_PRECISION": metrics.precision_score(TRUTH.ravel(), MAPPED.ravel(), average="macro"),
        "MEAN_RECALL": metrics.recall_score(TRUTH.ravel(), MAPPED.ravel(), average="macro"),
    }
    for name, value in expected.items():
        assert outputs[name] == pytest.approx(value), name
    assert (outputs["PIXELS"], outputs["SAMPLES"]) == (TRUTH.size, 0)
    classes = json.loads(outputs["CLASS_ACCURACY"])
    assert [entry["name"] for entry in classes] == list(NAMES)
    assert json.loads(outputs["LEFT_OUT"]) == []
    assert json.loads(outputs["AREA_ADJUSTED_FIGURES"])["given"] is False
    assert {name: outputs[name] for name in files} == files
    facts = json.loads(Path(files["JSON"]).read_text(encoding="utf-8"))
    assert facts["overall_accuracy"] == outputs["OVERALL_ACCURACY"]
    assert "Confusion matrix" in Path(files["REPORT"]).read_text(encoding="utf-8")
    assert any("0.8" in line for line in feedback.lines)
    assert feedback.steps == sorted(feedback.steps)


def test_no_file_is_written_that_nobody_wants(run, mapped, truth, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    outputs = run("scasnet:evaluate", MAP=mapped, REFERENCE=truth)
    assert "REPORT" not in outputs
    assert leftovers(tmp_path, *before, "map.tif.aux.xml", "truth.tif.aux.xml") == []


def test_report_is_offered_in_the_toolbox_and_lands_in_a_temporary_file(
    run, provider, mapped, truth
):
    from qgis.core import QgsApplication, QgsProcessingParameterDefinition

    algorithm = QgsApplication.processingRegistry().algorithmById("scasnet:evaluate")
    made = {name: algorithm.parameterDefinition(name).createByDefault() for name in
            ("REPORT", "CSV", "JSON")}  # fmt: skip
    assert made == {"REPORT": True, "CSV": False, "JSON": False}
    assert algorithm.outputDefinition("REPORT").type() == "outputHtml"
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    folded = {
        parameter.name()
        for parameter in algorithm.parameterDefinitions()
        if parameter.flags() & flag
    }
    assert folded == {"LEAVE_OUT", "AREA_ADJUSTED"}
    outputs = run("scasnet:evaluate", MAP=mapped, REFERENCE=truth, REPORT="TEMPORARY_OUTPUT")
    assert outputs["REPORT"].endswith(".html")
    assert Path(outputs["REPORT"]).stat().st_size > 1000


def test_names_of_the_legend_are_used(run, mapped, tmp_path):
    """The field holds codes; the layer's legend says what they mean."""
    shapes = [(box(3, 5, 40, 30), "W"), (box(50, 70, 33, 31), "G")]
    path = make_layer(tmp_path / "truth.gpkg", shapes, epsg=4326)
    layer = QgsVectorLayer(f"{path}|layername=reference", "truth")
    with pytest.raises(QgsProcessingException, match="G, W"):
        run("scasnet:evaluate", MAP=mapped, REFERENCE=layer, CLASS_FIELD="class")
    names = (("W", "Water"), ("G", "grass"))
    categories = [QgsRendererCategory(value, None, name) for value, name in names]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    outputs = run("scasnet:evaluate", MAP=mapped, REFERENCE=layer, CLASS_FIELD="class")
    rows = np.array(json.loads(outputs["CONFUSION"])).sum(axis=1)
    assert rows == pytest.approx([0, 33 * 31, 40 * 30], abs=2)


def test_points_in_memory_count_one_each(run, mapped):
    layer = QgsVectorLayer("Point?crs=EPSG:32640&field=what:string", "points", "memory")
    places = np.random.default_rng(1).integers(0, (90, 110), (40, 2))
    from qgis.core import QgsFeature, QgsGeometry

    features = []
    for row, col in places:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(point(row, col)))
        feature["what"] = NAMES[TRUTH[row, col] - 1]
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    outputs = run("scasnet:evaluate", MAP=mapped, REFERENCE=layer, CLASS_FIELD="what")
    assert (outputs["PIXELS"], outputs["SAMPLES"]) == (0, 40)
    right = (TRUTH == MAPPED)[tuple(places.T)].mean()
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(right)
    reason = json.loads(outputs["AREA_ADJUSTED_FIGURES"])["reason"]
    assert reason


def test_extent_boundary_and_classes_to_leave_out(run, mapped, truth):
    left, top = 500000.0 + 10 * 0.5, 4000000.0 - 20 * 0.5
    outputs = run(
        "scasnet:evaluate",
        MAP=mapped,
        REFERENCE=truth,
        EXTENT=f"{left},{left + 60 * 0.5},{top - 50 * 0.5},{top} [EPSG:32640]",
        BOUNDARY=2,
        LEAVE_OUT="grass",
    )
    left_out = {entry["reason"]: entry["count"] for entry in json.loads(outputs["LEFT_OUT"])}
    assert left_out["of an excluded class"] == (TRUTH[20:70, 10:70] == 2).sum()
    assert sum(left_out.values()) + outputs["PIXELS"] == 50 * 60


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"CLASS_FIELD": "nothing"}, "nothing"),
        ({"CLASS_FIELD": None}, "truth"),
        ({"CLASS_FIELD": "class", "AREA_ADJUSTED": "yes"}, None),
        ({"CLASS_FIELD": "class", "EXTENT": "1,2,1,2"}, "500000"),
        ({"CLASS_FIELD": "class", "LEAVE_OUT": "lake"}, "lake"),
        ({"REFERENCE": "none.tif"}, "REFERENCE"),
    ],
)
def test_bad_input_is_one_sentence(run, mapped, tmp_path, change, sentence):
    path = make_layer(tmp_path / "truth.gpkg", [(box(3, 5, 40, 30), "water")])
    parameters = {"MAP": mapped, "REFERENCE": path, **change}
    with pytest.raises(QgsProcessingException, match=sentence) as caught:
        run("scasnet:evaluate", **parameters, REPORT=str(tmp_path / "report.html"))
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_reference_away_from_the_map(run, mapped, make_raster):
    away = make_raster(TRUTH, "away.tif", geotransform=(6e5, 0.5, 0, 4e6, 0, -0.5))
    with pytest.raises(QgsProcessingException, match="overlap"):
        run("scasnet:evaluate", MAP=mapped, REFERENCE=away)


def test_cancelled_run_writes_nothing(cancelled, mapped, truth, tmp_path):
    target = tmp_path / "report.html"
    cancelled("scasnet:evaluate", 20.0, MAP=mapped, REFERENCE=truth, REPORT=str(target))
    assert not target.exists()


def test_in_a_model(provider, context, feedback, mapped, truth, tmp_path):
    inputs = [QgsProcessingParameterRasterLayer(name, name) for name in ("map", "truth")]
    given = {
        "MAP": Source.fromModelParameter("map"),
        "REFERENCE": Source.fromModelParameter("truth"),
        "JSON": str(tmp_path / "r.json"),
    }
    model, _ = graphical_model(inputs, {"evaluate": ("scasnet:evaluate", given)})
    parameters = {"map": mapped, "truth": truth}
    results, done = model.run(parameters, context, feedback)
    assert done
    assert results["CHILD_RESULTS"]["evaluate"]["PIXELS"] == TRUTH.size
    assert json.loads((tmp_path / "r.json").read_text())["compared"] == TRUTH.size


def test_batch_keeps_nothing_from_the_row_before(provider, mapped, truth, tmp_path):
    from qgis.core import QgsApplication, QgsProcessingContext

    polygons = make_layer(tmp_path / "truth.gpkg", [(box(3, 5, 40, 30), "water")])
    rows = [{"REFERENCE": polygons, "CLASS_FIELD": "class", "BOUNDARY": 1}, {"REFERENCE": truth}]
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("scasnet:evaluate")
    counts = []
    for row in rows:
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
        context.setProject(QgsProject.instance())
        outputs, done = algorithm.run({"MAP": mapped, **row}, context, feedback)
        assert done
        counts.append(outputs["PIXELS"])
    assert counts == [40 * 30, TRUTH.size]


def test_command_line(mapped, truth, tmp_path):
    report = f"REPORT={tmp_path / 'Bericht ä.html'}"
    values = (f"MAP={mapped}", f"REFERENCE={truth}", "BOUNDARY=1", report)
    results = parse_results(qgis_process("--json", "run", "scasnet:evaluate", "--", *values))
    assert 0 < results["OVERALL_ACCURACY"] < 1
    assert results["PIXELS"] < TRUTH.size
    assert (tmp_path / "Bericht ä.html").exists()


def test_our_own_maps_name_their_classes(run, image, tmp_path):
    """A map of scasnet:segment against itself."""
    target = str(tmp_path / "map.tif")
    run("scasnet:segment", INPUT=str(image), OUTPUT=target)
    outputs = run("scasnet:evaluate", MAP=target, REFERENCE=target)
    assert outputs["OVERALL_ACCURACY"] == 1
    assert outputs["PIXELS"] == gdal.Open(target).ReadAsArray().size
    names = [entry["name"] for entry in json.loads(outputs["CLASS_ACCURACY"])]
    assert names == ["building", "land", "road", "vegetation", "water"]
