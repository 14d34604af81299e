"""Models in half precision and in 8 bit: what is in the files, and how close they stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.common.errors import (
    Cancelled,
    InputError,
    ModelError,
    OutputError,
    ScasNetError,
    SettingError,
    TrainingError,
)
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.training.export.job import export_task
from tests.models.tiny_models import pixelwise
from tests.training.conftest import Impatient
from tests.training.export.exporting import DEMO, request, scores, tile_of

ROOT = Path(__file__).parents[3]
MODEL = paths.default_model()


@pytest.fixture(scope="module")
def exported(corner, tmp_path_factory):
    """The shipped model in every precision: files and reports."""
    folder = tmp_path_factory.mktemp("exported")
    found = {}
    for precision in ("fp32", "fp16", "int8"):
        file = folder / f"{precision}.onnx"
        found[precision] = file, export_task(request(MODEL, file, precision, corner), Progress())
    return found


@pytest.mark.long
def test_the_files_become_smaller_and_stay_close(exported):
    whole = MODEL.stat().st_size
    for precision, share, agreeing, difference in (
        ("fp32", 1.001, 1.0, 0.0),
        ("fp16", 0.52, 0.998, 0.02),
        ("int8", 0.29, 0.97, 0.4),
    ):
        file, report = exported[precision]
        assert report["bytes"] == file.stat().st_size < share * whole
        assert report["labels_agreeing"] >= agreeing
        assert report["largest_difference"] <= difference
        assert report["windows"] == 2
        assert report["pixels"] == np.sum(report["labels"]) > 30_000
    assert 0 < exported["fp16"][1]["largest_difference"] < exported["int8"][1]["largest_difference"]


@pytest.mark.long
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_report_is_true(exported, precision):
    """Elsewhere on the image, through the same door as maps are made."""
    file, report = exported[precision]
    tile = tile_of(DEMO, 200, 264, 100, 80)
    exact, other = scores(MODEL, tile), scores(file, tile)
    agreeing = (exact.argmax(axis=1) == other.argmax(axis=1)).mean()
    assert agreeing == pytest.approx(report["labels_agreeing"], abs=0.02)
    assert len(np.unique(exact.argmax(axis=1))) >= 3  # one class would agree with anything


@pytest.mark.long
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_everything_but_the_precision_stays(exported, precision):
    file, _ = exported[precision]
    before, after = onnx.load(str(MODEL)), onnx.load(str(file))
    onnx.checker.check_model(after, full_check=True)
    assert after.ir_version == before.ir_version
    assert [(opset.domain, opset.version) for opset in after.opset_import] == [("", 17)]
    for side in ("input", "output"):
        values = [getattr(model.graph, side)[0] for model in (before, after)]
        assert values[0] == values[1], "name, type and free sizes"
    props = [
        {entry.key: entry.value for entry in model.metadata_props} for model in (before, after)
    ]
    assert json.loads(props[1].pop("scasnet_precision")) == inspect(file).card.precision
    props[0].pop("scasnet_precision", None)
    assert props[0] == props[1]
    wanted = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
    assert inspect(file).card.precision == wanted[precision]


@pytest.mark.long
def test_half_precision_is_in_the_graph_but_not_at_its_ends(exported):
    file, _ = exported["fp16"]
    model = onnx.load(str(file))
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert {weights[name] for node in convolutions for name in node.input[1:]} == {
        TensorProto.FLOAT16
    }
    made_by = {name: node for node in model.graph.node for name in node.output}
    assert made_by[model.graph.output[0].name].op_type == "Softmax", "no cast rounds the output"
    readers = [node.op_type for node in model.graph.node if "image" in node.input]
    assert readers == ["Sub"], "no cast rounds the image"
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    for cast in casts:
        source = made_by.get(cast.input[0])
        assert source is None or source.op_type != "Cast"


@pytest.mark.long
def test_8_bits_are_in_the_inner_convolutions_and_never_overflow(exported):
    file, _ = exported["int8"]
    model = onnx.load(str(file))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    restored = {node.output[0]: node for node in model.graph.node if "Dequantize" in node.op_type}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    exact = [node.input[1] not in restored for node in convolutions]
    assert exact == [True, *[False] * (len(convolutions) - 2), True]
    for node in convolutions[1:-1]:
        image, weight = (restored[name] for name in node.input[:2])
        values = numpy_helper.to_array(constants[weight.input[0]])
        assert values.dtype == np.int8
        # Two products with values up to 255 must fit into 16 bits.
        assert np.abs(values.astype(int)).max() <= 64
        assert numpy_helper.to_array(constants[image.input[2]]).dtype == np.uint8
        assert len(numpy_helper.to_array(constants[weight.input[1]])) == len(values)
    for node in model.graph.node:
        assert node.op_type != "Relu" or not set(node.input) & set(restored), "it is folded in"


@pytest.mark.long
def test_models_are_converted_without_pytorch_and_always_to_the_same_bytes(
    exported, corner, tmp_path
):
    """In a Python that cannot import PyTorch, whose sets have another order."""
    script = """
import json, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError("it is not there", name=name)
sys.meta_path.insert(0, NoTorch())
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.export.job import export_task
for request in json.loads(sys.argv[1]):
    export_task(request, Progress())
"""
    wanted = [request(MODEL, tmp_path / f"{p}.onnx", p, corner) for p in ("fp16", "int8")]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-c", script, json.dumps(wanted)], cwd=ROOT, env=environment, check=True
    )
    for precision in ("fp16", "int8"):
        file, _ = exported[precision]
        assert (tmp_path / f"{precision}.onnx").read_bytes() == file.read_bytes()


@pytest.mark.long
def test_a_fixed_size(corner, tmp_path):
    for precision in ("fp32", "fp16"):
        file = tmp_path / f"{precision}.onnx"
        report = export_task(request(MODEL, file, precision, corner, fixed_size=96), Progress())
        info = inspect(file)
        assert (info.fixed_size, info.fixed_batch, info.card.tile_size) == ((96, 96), None, 96)
        assert report["labels_agreeing"] > 0.998
        tiles = np.concatenate([tile_of(corner, 96, 96), tile_of(corner, 96, 96, 100, 90)])
        assert np.abs(scores(file, tiles) - scores(MODEL, tiles)).max() < 0.02
    again = request(file, tmp_path / "again.onnx", "fp32", corner, fixed_size=96)
    with pytest.raises(ModelError, match=r"fp16\.onnx"):
        export_task(again, Progress())
    other = request(tmp_path / "fp32.onnx", tmp_path / "again.onnx", "fp32", corner, fixed_size=64)
    with pytest.raises(SettingError, match="96 x 96"):
        export_task(other, Progress())


@pytest.mark.long
def test_accuracy_against_a_reference(exported, corner, make_raster, tmp_path, recorder):
    """The reference is the model's own map, made in one piece."""
    labels = scores(MODEL, tile_of(corner, 260, 300))[0].argmax(axis=0).astype(np.uint8)
    names = [model_class.name for model_class in inspect(MODEL).card.classes]
    grid = gdal.Open(str(corner))
    path = make_raster(labels, "reference.tif", geotransform=grid.GetGeoTransform(), epsg=None)
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection(grid.GetProjection())
    dataset = None
    reference = {
        "path": path,
        "layer": "",
        "field": "",
        "classes": [
            {"value": str(index), "name": name, "color": "#000000"}
            for index, name in enumerate(names)
        ],
    }
    wanted = request(MODEL, tmp_path / "m.onnx", "int8", corner, reference=reference)
    report = export_task(wanted, recorder)
    assert 0.8 < report["overall_accuracy"] < report["overall_accuracy_fp32"] < 1.0
    assert 0.4 < report["mean_iou"] < report["mean_iou_fp32"] < 1.0
    counts = np.array(report["confusion"])
    assert report["overall_accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    assert np.sum(report["confusion_fp32"]) == counts.sum() == report["pixels"]
    assert any("fp32" in line for line in recorder.infos)


def test_a_reference_elsewhere_or_of_other_classes(corner, make_raster, tmp_path):
    labels = np.ones((50, 50), dtype=np.uint8)
    classes = [{"value": "1", "name": "building", "color": "#000000"}]
    path = make_raster(labels, "far.tif", epsg=None)
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection(gdal.Open(str(corner)).GetProjection())
    dataset = None
    far = {"path": path, "classes": classes}
    with pytest.raises(InputError, match="overlap"):
        export_task(request(MODEL, tmp_path / "m.onnx", "fp16", corner, reference=far), Progress())
    other = {**far, "classes": [{"value": "1", "name": "heath", "color": "#000000"}]}
    with pytest.raises(InputError, match=r"heath.*building"):
        export_task(
            request(MODEL, tmp_path / "m.onnx", "fp16", corner, reference=other), Progress()
        )
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.long
def test_what_is_refused(exported, corner, tmp_path, make_raster):
    output = tmp_path / "m.onnx"
    cases = [
        (SettingError, None, request(MODEL, output, "int8")),
        (SettingError, "fp8", request(MODEL, output, "fp8", corner)),
        (SettingError, "32", request(MODEL, output, "fp32", corner, fixed_size=16)),
        (SettingError, "red, green, blue", request(MODEL, output, "fp16")),
        (OutputError, r"\.onnx", request(MODEL, tmp_path / "m.tif", "fp16", corner)),
        (OutputError, MODEL.name, request(MODEL, MODEL, "fp16", corner)),
        (ModelError, "int8", request(exported["int8"][0], output, "fp16", corner)),
        (ModelError, "fp16", request(exported["fp16"][0], output, "int8", corner)),
        (TrainingError, tmp_path.name, request(tmp_path, output, "fp32", corner)),
        (ModelError, r"text\.onnx", request(_text(tmp_path), output, "fp32", corner)),
    ]
    for kind, named, wanted in cases:
        with pytest.raises(kind, match=named):
            export_task(wanted, Progress())
    empty = make_raster(np.zeros((3, 80, 90), dtype=np.uint8), "empty.tif", nodata=0)
    with pytest.raises(InputError, match=r"empty\.tif"):
        export_task(request(MODEL, output, "int8", empty), Progress())
    assert not output.exists()


def _text(folder: Path) -> Path:
    path = folder / "text.onnx"
    path.write_text("no model")
    return path


@pytest.mark.parametrize("share", [0.1, 0.55, 0.7])
def test_a_cancelled_export_leaves_the_former_file(corner, tmp_path, share):
    former = tmp_path / "m.onnx"
    former.write_bytes(b"the former model")
    model = pixelwise(tmp_path / "tiny.onnx")
    with pytest.raises(Cancelled):
        export_task(request(model, former, "int8", corner), Impatient(share))
    assert former.read_bytes() == b"the former model"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "tiny.onnx"]


def test_errors_travel_as_sentences(tmp_path):
    with pytest.raises(ScasNetError) as caught:
        export_task(request(tmp_path / "no.onnx", tmp_path / "m.onnx", "fp32", DEMO), Progress())
    assert "no.onnx" in caught.value.sentence
