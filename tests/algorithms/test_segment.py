"""scasnet:segment in a real QGIS, with the model that ships."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsPalettedRasterRenderer, QgsProcessingException, QgsProject, QgsRasterLayer

from scasnet_qgis.outputs.provenance.stamp import read_record, read_stamp
from tests.mapping.refinements.test_majority import expected
from tests.real_qgis import CLASSES, leftovers, legend_of, pixels, qgis_process

FILES = ["map.qml", "map.tif", "map.tif.aux.xml", "map.tif.scasnet"]


@pytest.fixture(scope="module")
def plain(provider, image, tmp_path_factory):
    """The map of the image with all defaults."""
    import processing

    target = tmp_path_factory.mktemp("plain") / "map.tif"
    processing.run("scasnet:segment", {"INPUT": str(image), "OUTPUT": str(target)})
    return target


def test_map_lies_on_the_grid_of_the_image(plain, image):
    source, result = gdal.Open(str(image)), gdal.Open(str(plain))
    assert result.GetGeoTransform() == source.GetGeoTransform()
    assert result.GetSpatialRef().IsSame(source.GetSpatialRef())
    assert (result.RasterXSize, result.RasterYSize) == (source.RasterXSize, source.RasterYSize)
    band = result.GetRasterBand(1)
    assert band.DataType == gdal.GDT_Byte
    assert band.GetNoDataValue() == 0
    assert set(np.unique(band.ReadAsArray())) <= set(range(1, 6))
    assert leftovers(plain.parent) == FILES


def test_outputs_say_what_was_found_and_used(run, image, tmp_path, feedback):
    outputs = run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "map.tif"))
    statistics = json.loads(outputs["CLASS_STATISTICS"])
    counts = np.bincount(pixels(tmp_path / "map.tif").ravel(), minlength=6)
    assert [entry["name"] for entry in statistics] == CLASSES
    assert [entry["pixels"] for entry in statistics] == counts[1:].tolist()
    assert sum(entry["area"] for entry in statistics) == pytest.approx(300 * 260 * 1.05**2)
    assert outputs["AREA_UNIT"] == "m2"
    assert (outputs["SCALES_USED"], outputs["FLIPS_USED"]) == ("1", "none")
    assert outputs["SECONDS"] > 0
    assert "CPUExecutionProvider" in outputs["PROVIDER"]
    assert any("building, land" in line for line in feedback.lines)
    assert feedback.steps == sorted(feedback.steps)
    assert feedback.steps[-1] == pytest.approx(100)


def test_names_colours_attribute_table_and_style_are_beside_the_map(plain):
    layer = QgsRasterLayer(str(plain), "map")
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    entries = layer.renderer().classes()
    assert [(entry.value, entry.label) for entry in entries] == list(enumerate(CLASSES, start=1))
    assert legend_of(layer) == CLASSES
    dataset = gdal.Open(str(plain))  # a band does not outlive its dataset
    dataset.GetGeoTransform()  # GDAL 3.6 reads the side file only when asked for the place
    band = dataset.GetRasterBand(1)
    assert band.GetCategoryNames()[1:] == CLASSES
    assert band.GetColorTable().GetColorEntry(0)[3] == 0
    assert len({band.GetColorTable().GetColorEntry(value) for value in range(6)}) == 6
    table = band.GetDefaultRAT()
    assert [table.GetValueAsString(row, 1) for row in range(table.GetRowCount())] == CLASSES


def test_toolbox_run_adds_a_styled_layer_to_the_project(provider, image, tmp_path):
    import processing

    parameters = {"INPUT": str(image), "OUTPUT": str(tmp_path / "map.tif")}
    processing.runAndLoadResults("scasnet:segment", parameters)
    layers = [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if layer.source() == str(tmp_path / "map.tif")
    ]
    assert len(layers) == 1
    assert [entry.label for entry in layers[0].renderer().classes()] == CLASSES
    assert legend_of(layers[0]) == CLASSES
    QgsProject.instance().removeAllMapLayers()


def test_probabilities_agree_with_the_map(run, image, tmp_path):
    run(
        "scasnet:segment",
        INPUT=str(image),
        OUTPUT=str(tmp_path / "map.tif"),
        PROBABILITIES=str(tmp_path / "probabilities.tif"),
    )
    scores = pixels(tmp_path / "probabilities.tif")
    assert scores.shape == (5, 260, 300)
    assert np.allclose(scores.sum(axis=0), 1.0, atol=1e-4)
    assert (scores.argmax(axis=0) + 1 == pixels(tmp_path / "map.tif")).all()
    dataset = gdal.Open(str(tmp_path / "probabilities.tif"))
    assert dataset.GetRasterBand(1).GetDescription() == "building"


def test_extent_in_map_coordinates_maps_that_part(run, image, tmp_path):
    place = gdal.Open(str(image)).GetGeoTransform()
    left, top = place[0] + 50 * 1.05, place[3] - 40 * 1.05
    box = f"{left},{left + 100 * 1.05},{top - 80 * 1.05},{top}"
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "part.tif"), EXTENT=box)
    result = gdal.Open(str(tmp_path / "part.tif"))
    assert (result.RasterXSize, result.RasterYSize) == (100, 80)
    assert result.GetGeoTransform()[0] == pytest.approx(left)
    assert result.GetGeoTransform()[3] == pytest.approx(top)


def test_bands_change_the_result(run, image, plain, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "a.tif"), BANDS=[1, 2, 3])
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "b.tif"), BANDS=[3, 2, 1])
    assert (pixels(tmp_path / "a.tif") == pixels(plain)).all()
    assert (pixels(tmp_path / "b.tif") != pixels(plain)).any()


SMALL_TILES = {"TILE_SIZE": 64, "OVERLAP": 16}


@pytest.mark.parametrize(
    ("percent", "options"),
    [(20.0, SMALL_TILES), (90.0, {"SIEVE": 50})],
    ids=["mapping", "merging patches"],
)
def test_cancelled_run_leaves_nothing(cancelled, image, tmp_path, percent, options):
    target = str(tmp_path / "map.tif")
    cancelled("scasnet:segment", percent, INPUT=str(image), OUTPUT=target, **options)
    assert leftovers(tmp_path) == []


def test_cancelled_run_keeps_the_older_map(run, cancelled, image, tmp_path):
    files = {"INPUT": str(image), "OUTPUT": str(tmp_path / "map.tif")}
    run("scasnet:segment", **files)
    before = (tmp_path / "map.tif").read_bytes()
    cancelled("scasnet:segment", 20.0, **files, **SMALL_TILES)
    assert (tmp_path / "map.tif").read_bytes() == before
    assert leftovers(tmp_path) == FILES


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"MODEL": "/nowhere/model.onnx"}, "model.onnx"),
        ({"BANDS": [1, 2, 9]}, "Band 9 does not exist"),
        ({"BANDS": [1, 2]}, "2 band"),
        ({"OUTPUT": "/nowhere/map.tif"}, "/nowhere"),
        ({"OUTPUT": "map.png"}, ".tif"),
        ({"TILE_SIZE": 128, "OVERLAP": 128}, "overlap"),
        ({"EXTENT": "9000,9100,9000,9100"}, "extent"),
        ({"DEVICE": "cuda"}, "cuda"),
        ({"SCALES": "large"}, "0.75;1;1.25"),
        ({"SCALES": ""}, "SCALES"),
        ({"FLIPS": "sideways"}, "FLIPS"),
        ({"MIN_CONFIDENCE": 1.5}, "MIN_CONFIDENCE"),
        ({"SIEVE": -1}, "SIEVE"),
        ({"MAJORITY": 4}, "odd"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(refused, image, tmp_path, parameters, words):
    values = {"INPUT": str(image), "OUTPUT": str(tmp_path / "map.tif"), **parameters}
    assert words in refused("scasnet:segment", **values)
    assert leftovers(tmp_path) == []


def test_file_that_is_no_model_is_refused(run, image, tmp_path):
    fake = tmp_path / "fake.onnx"
    fake.write_text("this is no model")
    with pytest.raises(QgsProcessingException, match=r"fake\.onnx"):
        run("scasnet:segment", INPUT=str(image), MODEL=str(fake), OUTPUT=str(tmp_path / "m.tif"))


def test_missing_onnxruntime_gives_the_command(run, image, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    copy = tmp_path / "other.onnx"  # not one that was inspected before
    copy.write_bytes(b"content does not matter")
    with pytest.raises(QgsProcessingException, match=r"pip install .*numpy==.* onnxruntime"):
        run("scasnet:segment", INPUT=str(image), MODEL=str(copy), OUTPUT=str(tmp_path / "m.tif"))


def test_raster_without_place_or_reference_works(run, image, tmp_path):
    plain = tmp_path / "plain.tif"
    gdal.GetDriverByName("GTiff").Create(str(plain), 90, 70, 3).WriteArray(
        pixels(image)[:, :70, :90]
    )
    outputs = run("scasnet:segment", INPUT=str(plain), OUTPUT=str(tmp_path / "map.tif"))
    assert outputs["AREA_UNIT"] == "pixels"
    assert pixels(tmp_path / "map.tif").shape == (70, 90)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (37, 41), (300, 3)])
def test_odd_sizes_work(run, image, tmp_path, shape):
    rows, cols = shape
    small = tmp_path / "small.tif"
    gdal.GetDriverByName("GTiff").Create(str(small), cols, rows, 3).WriteArray(
        np.resize(pixels(image), (3, rows, cols))
    )
    run("scasnet:segment", INPUT=str(small), OUTPUT=str(tmp_path / "map.tif"))
    result = pixels(tmp_path / "map.tif")
    assert result.shape == shape
    assert result.min() >= 1


def test_resolution_the_model_does_not_know_gives_a_warning(run, image, tmp_path, feedback):
    fine = tmp_path / "fine.tif"
    gdal.Translate(str(fine), str(image), outputBounds=[0, 26, 30, 0])
    run("scasnet:segment", INPUT=str(fine), OUTPUT=str(tmp_path / "map.tif"))
    assert any("0.1 m" in text for text in feedback.warnings)


def test_scales_and_flips_are_averaged(run, image, plain, tmp_path, feedback):
    """The map differs a little from the plain one."""
    views = {"SCALES": "0.75;1", "FLIPS": "mirror"}
    outputs = run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "b.tif"), **views)
    assert (outputs["SCALES_USED"], outputs["FLIPS_USED"]) == ("0.75;1", "mirror")
    assert any("0.75;1" in line for line in feedback.lines)
    share = (pixels(plain) != pixels(tmp_path / "b.tif")).mean()
    assert 0 < share < 0.2


def test_small_patches_and_uncertain_pixels(run, image, tmp_path, feedback):
    """The statistics are those of the finished map."""
    target = tmp_path / "map.tif"
    rules = {"SIEVE": 50, "SIEVE_UNIT": "square metres", "MIN_CONFIDENCE": 0.5}
    outputs = run("scasnet:segment", INPUT=str(image), OUTPUT=str(target), **rules)
    counts = np.bincount(pixels(target).ravel(), minlength=6)
    statistics = json.loads(outputs["CLASS_STATISTICS"])
    assert [entry["pixels"] for entry in statistics] == counts[1:].tolist()
    assert outputs["UNCERTAIN_PIXELS"] == counts[0] > 0
    assert outputs["SIEVED_PIXELS"] > 0
    assert any(f"{counts[0]:,}" in line for line in feedback.lines)
    assert not any(line.startswith("no data") for line in feedback.lines)
    assert any(" 46 " in line for line in feedback.lines)  # of 1.05 x 1.05 m
    assert feedback.steps == sorted(feedback.steps)
    assert leftovers(tmp_path) == FILES


@pytest.mark.long
def test_refinements_on_the_command_line(image, tmp_path):
    target = tmp_path / "map.tif"
    done = qgis_process(
        "run", "scasnet:segment", "--", f"INPUT={image}", f"OUTPUT={target}",
        "FLIPS=mirror", "SIEVE=20", "MIN_CONFIDENCE=0.4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "FLIPS_USED:\tmirror" in done.stdout
    assert pixels(target).shape == (260, 300)


def test_other_pixels_than_the_model_s_and_the_switch_for_it(run, image, tmp_path, feedback):
    """The map lies on the image's own pixels; switched off, the model sees these."""
    fine = tmp_path / "fine.tif"
    gdal.Translate(str(fine), str(image), width=900, height=780, resampleAlg="bilinear")
    outputs = run("scasnet:segment", INPUT=str(fine), OUTPUT=str(tmp_path / "map.tif"))
    labels = pixels(tmp_path / "map.tif")
    assert labels.shape == (780, 900)
    assert labels.min() >= 1
    assert any("1.054 m" in text for text in feedback.lines)
    assert outputs["AREA_UNIT"] == "m2"
    run("scasnet:segment", INPUT=str(fine), OUTPUT=str(tmp_path / "b.tif"), RESAMPLE=False)
    assert (pixels(tmp_path / "b.tif") != labels).any()
    assert any("0.35 m" in text for text in feedback.warnings)


def test_a_majority_filter_smooths_edges(run, image, plain, tmp_path, feedback):
    smooth = tmp_path / "smooth.tif"
    outputs = run("scasnet:segment", INPUT=str(image), OUTPUT=str(smooth), MAJORITY=7)
    np.testing.assert_array_equal(pixels(smooth), expected(pixels(plain), 7))
    assert outputs["SMOOTHED_PIXELS"] == (pixels(smooth) != pixels(plain)).sum() > 0
    assert read_stamp(smooth)["MAJORITY"] == "7"
    record = read_record(smooth)
    assert record.at("settings", "given", "majority") == 7
    assert record.at("repeat", "parameters")["MAJORITY"] == "7"
    assert any("7 x 7 pixels" in line for line in feedback.lines)
