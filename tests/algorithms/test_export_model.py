"""scasnet:exportmodel in a real QGIS, with a real process that does the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsFeature, QgsGeometry, QgsRasterLayer, QgsRectangle, QgsVectorLayer

from scasnet_qgis import paths
from scasnet_qgis.models.model_file import inspect
from tests.real_qgis import leftovers, pixels, qgis_process

MODEL = paths.default_model()


@pytest.fixture(autouse=True)
def python_with_onnx(provider, training_python):
    training_python(sys.executable)


def test_8_bits_with_a_reference_and_a_report(run, image, feedback, tmp_path):
    """The map that the exact model makes serves as the reference, with its own class names."""
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "truth.tif"))
    outputs = run(
        "scasnet:exportmodel",
        PRECISION="int8",
        CALIBRATION=str(image),
        REFERENCE=str(tmp_path / "truth.tif"),
        OUTPUT=str(tmp_path / "small.onnx"),
        REPORT=str(tmp_path / "report.json"),
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert outputs["OUTPUT"] == str(tmp_path / "small.onnx")
    assert outputs["REPORT"] == str(tmp_path / "report.json")
    assert outputs["LABELS_AGREEING"] == report["labels_agreeing"] > 0.96
    assert outputs["LARGEST_DIFFERENCE"] == report["largest_difference"] > 0
    assert outputs["OVERALL_ACCURACY"] == report["overall_accuracy"]
    assert outputs["OVERALL_ACCURACY_FP32"] == report["overall_accuracy_fp32"] > 0.8
    assert outputs["MEAN_IOU_FP32"] > 0.4
    assert outputs["MEAN_IOU"] == pytest.approx(outputs["MEAN_IOU_FP32"], abs=0.1)
    assert outputs["MEGABYTES"] < 0.3 * MODEL.stat().st_size / 1e6
    assert any("%" in line for line in feedback.lines)
    assert feedback.steps[-1] == 100.0
    run(
        "scasnet:segment",
        INPUT=str(image),
        MODEL=outputs["OUTPUT"],
        OUTPUT=str(tmp_path / "small.tif"),
    )
    both = [pixels(tmp_path / name) for name in ("truth.tif", "small.tif")]
    assert (both[0] == both[1]).mean() > 0.96
    assert inspect(outputs["OUTPUT"]).card.precision == "int8"


def polygons(image: Path, field: str) -> QgsVectorLayer:
    """Two polygons over the image, in a layer that is no file."""
    raster = QgsRasterLayer(str(image), "image")
    layer = QgsVectorLayer(f"Polygon?field={field}:string", "truth", "memory")
    layer.setCrs(raster.crs())
    box = raster.extent()
    for name, left in (("building", 0.0), ("Land", 0.5)):
        feature = QgsFeature(layer.fields())
        feature.setAttribute(field, name)
        x = box.xMinimum() + left * box.width()
        part = QgsRectangle(x, box.yMinimum(), x + 0.4 * box.width(), box.yMaximum())
        feature.setGeometry(QgsGeometry.fromRect(part))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    return layer


@pytest.mark.long
def test_half_precision_with_polygons_and_a_page(run, image, tmp_path):
    outputs = run(
        "scasnet:exportmodel",
        INPUT=str(MODEL),
        PRECISION="fp16",
        CALIBRATION=QgsRasterLayer(str(image), "image"),
        REFERENCE=polygons(image, "cover"),
        CLASS_FIELD="cover",
        OUTPUT=str(tmp_path / "half.onnx"),
        REPORT=str(tmp_path / "report.html"),
    )
    assert outputs["LABELS_AGREEING"] > 0.998
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(outputs["OVERALL_ACCURACY_FP32"], abs=0.01)
    assert 0 < outputs["OVERALL_ACCURACY"] < 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ScasNet VGG compact, Dubai in fp16" in page
    assert "Mean IoU, fp32" in page
    assert leftovers(tmp_path, "half.onnx", "report.html") == []


@pytest.mark.long
def test_the_command_line_makes_a_file_for_the_peers(provider, image, tmp_path):
    done = qgis_process(
        "run", "scasnet:exportmodel", "--",
        f"INPUT={MODEL}", "FIXED_SIZE=96", f"CALIBRATION={image}",
        f"OUTPUT={tmp_path / 'peers.onnx'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LABELS_AGREEING:\t1" in done.stdout
    assert "OVERALL_ACCURACY" not in done.stdout.split("Results")[-1], "there was no reference"
    assert inspect(tmp_path / "peers.onnx").fixed_size == (96, 96)


def test_a_training_becomes_a_model(run, image, tmp_path):
    from tests.training.checkpoints import write_training

    write_training(tmp_path / "m_training")
    outputs = run(
        "scasnet:exportmodel",
        INPUT=str(tmp_path / "m_training"),
        CALIBRATION=str(image),
        OUTPUT=str(tmp_path / "m.onnx"),
    )
    assert outputs["LABELS_AGREEING"] == 1.0
    assert inspect(tmp_path / "m.onnx").card.name == "Ours"


def test_what_cannot_work_is_said_in_one_sentence(refused, image, tmp_path):
    output = {"OUTPUT": str(tmp_path / "m.onnx")}
    assert "calibrated" in refused("scasnet:exportmodel", PRECISION="int8", **output)
    for name in ("no.onnx", "no_training"):
        assert name in refused("scasnet:exportmodel", INPUT=str(tmp_path / name), **output)
    layer = polygons(image, "cover")
    chosen = {"CALIBRATION": str(image), "REFERENCE": layer, **output}
    assert "kind" not in refused("scasnet:exportmodel", **chosen)
    assert "'kind'" in refused("scasnet:exportmodel", CLASS_FIELD="kind", **chosen)
    of_layer = refused("scasnet:exportmodel", REFERENCE=layer, CLASS_FIELD="cover", **output)
    assert "calibration" in of_layer
    twice = {"CALIBRATION": str(image), "REPORT": output["OUTPUT"], **output}
    assert "m.onnx" in refused("scasnet:exportmodel", **twice)
    assert leftovers(tmp_path) == []


@pytest.mark.long
def test_bands_are_taken_as_chosen(run, image, tmp_path):
    """A raster whose bands lie the other way round gives the same figures with BANDS."""
    turned = tmp_path / "turned.tif"
    driver = gdal.GetDriverByName("GTiff")
    dataset = driver.Create(str(turned), 300, 260, 3, options=["PHOTOMETRIC=MINISBLACK"])
    dataset.WriteArray(pixels(image)[::-1])
    dataset = None
    both = []
    for name, more in (("a", {"CALIBRATION": str(image)}),
                       ("b", {"CALIBRATION": str(turned), "BANDS": [3, 2, 1]})):  # fmt: skip
        outputs = run(
            "scasnet:exportmodel", PRECISION="fp16", OUTPUT=str(tmp_path / f"{name}.onnx"), **more
        )
        both.append((outputs["LABELS_AGREEING"], outputs["LARGEST_DIFFERENCE"]))
    assert both[0] == both[1]
    assert np.isfinite(both[0][1])


def test_a_cancelled_export_leaves_nothing(cancelled, image, tmp_path):
    files = {"OUTPUT": str(tmp_path / "m.onnx"), "REPORT": str(tmp_path / "report.html")}
    cancelled("scasnet:exportmodel", 30.0, PRECISION="int8", CALIBRATION=str(image), **files)
    assert leftovers(tmp_path) == []
