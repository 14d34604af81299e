"""What a run leaves about itself, and that the map itself depends on nothing but what is stated."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from scasnet_qgis import paths
from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.value_scaling import parse_value_range
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs.provenance import fingerprint
from scasnet_qgis.outputs.provenance.run_record import Record, record_file
from scasnet_qgis.outputs.provenance.stamp import DOMAIN, read_record, read_stamp
from scasnet_qgis.tiling.augmentation import Augmentation
from tests.map_settings import changed, map_settings
from tests.mapping.test_job import noise
from tests.models import tiny_models

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "dubai.tif"


def sha256(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def request_of(make_raster, tmp_path):
    """A request for a small image and a tiny model, with changes."""

    def make(**changes) -> MapSettings:
        source = changes.pop("source", None) or make_raster(noise(150, 170))
        model = tiny_models.pixelwise(tmp_path / "tiny.onnx", classes=4)
        request = map_settings(
            source, inspect(model), tmp_path / "map.tif", tile_size=64, overlap=16, threads=1
        )
        return changed(request, **changes)

    return make


def mapped(request: MapSettings, progress: Progress | None = None) -> Record:
    make_map(request, progress or Progress(), lambda _path, _classes: None)
    return read_record(request.output.map)


@pytest.mark.fault(
    "the description is compared with what was made",
    "image, model, settings, versions, device, areas and checksums are right",
)
def test_the_description_says_what_was_done(request_of, tmp_path) -> None:
    request = request_of(
        probabilities=tmp_path / "p.tif", extent=(500010, 3999950, 500060, 3999990)
    )
    record = mapped(request)
    assert record.intact
    assert record.text("input", "source") == request.image.source
    assert record.parts("input", "files")[0].text("sha256") == sha256(request.image.source)
    assert (record.count("input", "rows"), record.count("input", "cols")) == (150, 170)
    assert record.text("input", "crs") == "EPSG:32640"
    assert record.texts("input", "geotransform")[1] == "0.5"
    assert [band.count("number") for band in record.parts("input", "bands")] == [1, 2, 3]
    assert (record.count("map", "rows"), record.count("map", "cols")) == (80, 100)
    assert record.texts("area", "extent") == ["500010", "3999950", "500060", "3999990"]
    assert record.text("model", "sha256") == sha256(request.model.path)
    assert record.text("model", "card", "name") == request.model.card.name
    assert record.text("provider", "device") == "cpu"
    assert record.at("provider", "details") == "", "the name of a card, where one computes"
    assert record.text("provider", "device") == "cpu"
    assert set(record.at("software")) >= {"plugin", "gdal", "numpy", "onnxruntime", "python"}
    assert record.text("software", "plugin") == re.search(
        r"^version=(.*)$", (paths.PLUGIN.parent / "metadata.txt").read_text(), re.MULTILINE
    ).group(1)
    assert record.at("warnings") == []
    pixels = gdal.Open(str(request.output.map)).ReadAsArray()
    counts = [area.count("pixels") for area in record.parts("map", "classes")]
    assert counts == [int((pixels == value).sum()) for value in range(1, 5)]
    for part, file in zip(record.parts("files"), (request.output.map, tmp_path / "p.tif")):
        assert part.text("sha256") == sha256(file)
        assert read_record(file).content == record.content
    assert record.text("started") <= record.text("ended")
    assert record.text("started").endswith("+00:00")


def test_warnings_of_the_run_are_kept(request_of, recorder) -> None:
    request = request_of()
    card = replace(request.model.card, resolution=(5.0, 10.0))
    record = mapped(changed(request, model=replace(request.model, card=card)), recorder)
    assert recorder.warnings
    assert record.at("warnings") == recorder.warnings


def test_memory_that_runs_short_on_the_way_is_told(request_of, recorder, monkeypatch) -> None:
    run = OnnxBackend._run

    def short(backend: OnnxBackend, model, inputs: np.ndarray) -> list[np.ndarray]:
        if len(inputs) > 2:
            raise MemoryError("no room")
        return run(backend, model, inputs)

    monkeypatch.setattr(OnnxBackend, "_run", short)
    record = mapped(request_of(batch=3), recorder)
    assert [warning for warning in recorder.warnings if "3" in warning]
    assert record.at("warnings") == recorder.warnings


def test_an_input_that_gets_another_time_only_is_still_the_same(request_of, recorder) -> None:
    request = request_of()

    def touch(_path, _classes) -> None:
        os.utime(request.image.source, (1, 1))

    make_map(request, recorder, touch)
    assert recorder.warnings == []
    assert read_record(request.output.map).at("warnings") == []


def test_a_large_input_that_gets_another_time_is_told(request_of, recorder, monkeypatch) -> None:
    """Of such a one only parts are compared."""
    monkeypatch.setattr(fingerprint, "PART", 64)
    request = request_of()

    def touch(_path, _classes) -> None:
        os.utime(request.image.source, (1, 1))

    make_map(request, recorder, touch)
    (warning,) = recorder.warnings
    assert Path(request.image.source).name in warning
    assert read_record(request.output.map).texts("warnings")[-1] == warning


@pytest.mark.fault(
    "the same map with other threads, batches and tiles, by a model that sees single pixels",
    "the map has the same bytes",
)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"threads": 2},
        {"batch": 3, "threads": 2},
        {"device": "cpu"},
        {"tile_size": 96, "overlap": 32},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("size", "settings"),
    [((150, 170), {}), ((150, 170), {"sieve": 5.0, "min_confidence": 0.3}), ((560, 610), {})],
    ids=["plain", "refined", "blocks"],
)
def test_the_same_gives_the_same_bytes(
    make_raster, request_of, tmp_path, changes, size, settings
) -> None:
    """A model that sees one pixel at a time gives the same scores whatever the tiles."""
    settings = {**settings, "source": make_raster(noise(*size))}
    both = [
        request_of(output=tmp_path / "a.tif", probabilities=tmp_path / "ap.tif", **settings),
        request_of(
            output=tmp_path / "b.tif", probabilities=tmp_path / "bp.tif", **{**settings, **changes}
        ),
    ]
    for run in both:
        mapped(run)
    if "tile_size" in changes:  # which is stamped, and weights of the blending round differently
        maps = [gdal.Open(str(settings.output.map)).ReadAsArray() for settings in both]
        np.testing.assert_array_equal(*maps)
        return
    assert both[0].output.map.read_bytes() == both[1].output.map.read_bytes()
    assert sha256(tmp_path / "ap.tif") == sha256(tmp_path / "bp.tif")


@pytest.mark.parametrize("tile", [128, 256])
def test_the_shipped_model_gives_the_same_bytes(tmp_path, session, tile) -> None:
    """Whatever the threads, on tiles side by side or inside a single one, and the batch."""
    image = tmp_path / "corner.tif"
    gdal.Translate(str(image), str(DEMO), srcWin=[400, 500, 230, 210])
    model = inspect(paths.default_model())
    found = set()
    for index, (threads, batch) in enumerate(((1, 1), (2, 1), (3, 3))):
        files = tmp_path / f"{index}.tif", tmp_path / f"{index}p.tif"
        request = map_settings(
            str(image),
            model,
            files[0],
            probabilities=files[1],
            tile_size=tile,
            overlap=32,
            threads=threads,
            batch=batch,
        )
        mapped(request)
        found.add(tuple(map(sha256, files)))
    assert len(found) == 1


@pytest.mark.fault(
    "the .tif is searched for times and paths",
    "there are none; model, checksum and classes are in it",
)
def test_the_map_itself_names_its_model_but_no_time_and_no_path(request_of, tmp_path) -> None:
    request = request_of()
    mapped(request)
    found = read_stamp(request.output.map)
    assert found["MODEL_SHA256"] == sha256(request.model.path)
    classes = json.loads(found["CLASSES"])
    assert [entry["name"] for entry in classes] == request.model.card.class_names
    assert [entry["value"] for entry in classes] == [1, 2, 3, 4]
    assert str(tmp_path) not in json.dumps(found)
    assert not re.search(r"20\d\d-\d\d", json.dumps(found))
    assert gdal.Open(str(request.output.map)).GetMetadata(DOMAIN) == found


def test_other_settings_show_in_the_map(request_of) -> None:
    request = request_of()
    mapped(request)
    plain = read_stamp(request.output.map)
    values = {"value_range": parse_value_range("0;200"), "resample": False}
    rules = {"augmentation": Augmentation((1.0,), "mirror"), "sieve": 4.0, "min_confidence": 0.25}
    mapped(changed(request, **values, **rules))
    found = read_stamp(request.output.map)
    assert {key for key in found if found[key] != plain.get(key)} == {
        "VALUE_RANGE", "RESAMPLE", "FLIPS", "SIEVE", "MIN_CONFIDENCE",
    }  # fmt: skip
    assert (found["VALUE_RANGE"], found["RESAMPLE"]) == ("0.0;200.0", "no")
    assert (found["SIEVE"], found["MIN_CONFIDENCE"]) == ("4 pixels", "0.25")


def test_the_command_names_what_this_computer_chose(request_of, tmp_path) -> None:
    extent = (500010.125, 3999950.0, 500060.0, 3999990.0)
    request = request_of(extent=extent, tile_size=None, overlap=None)
    record = mapped(changed(request, sieve=4.0, augmentation=Augmentation((0.5, 1.0), "none")))
    words = shlex.split(record.at("repeat", "command"))
    assert words[:4] == ["qgis_process", "run", "scasnet:segment", "--"]
    given = dict(word.split("=", 1) for word in words[4:])
    assert given == record.at("repeat", "parameters")
    assert given["INPUT"] == request.image.source
    assert given["OUTPUT"] == str(tmp_path / "map_again.tif"), "the map itself stays"
    assert given["EXTENT"] == "500010.125,500060.0,3999950.0,3999990.0"
    assert given["DEVICE"] == "cpu"
    assert given["BANDS"] == "1;2;3"
    assert int(given["TILE_SIZE"]) == request.model.card.tile_size
    assert int(given["OVERLAP"]) == request.model.card.overlap
    assert (given["SCALES"], given["SIEVE"]) == ("0.5;1", "4.0")
    assert "PROBABILITIES" not in given
    assert record.at("repeat", "notes") == []


def test_a_mask_is_marked_too(request_of, tmp_path) -> None:
    mask = tmp_path / "mask.gpkg"
    dataset = gdal.GetDriverByName("GPKG").Create(str(mask), 0, 0, 0, gdal.GDT_Unknown)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    layer = dataset.CreateLayer("parts", reference, ogr.wkbPolygon)
    feature = ogr.Feature(layer.GetLayerDefn())
    ring = "500010 3999990,500040 3999990,500040 3999950,500010 3999950,500010 3999990"
    feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({ring}))"))
    layer.CreateFeature(feature)
    feature = layer = dataset = None
    record = mapped(request_of(mask=str(mask), mask_layer="parts"))
    assert record.text("area", "mask", "layer") == "parts"
    assert record.parts("area", "mask", "files")[0].text("sha256") == sha256(mask)
    assert record.text("repeat", "parameters", "MASK") == f"{mask}|layername=parts"


def test_what_stands_in_the_way_of_the_command_is_told(make_raster, request_of) -> None:
    source = make_raster(noise(40, 50), epsg=None)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    record = mapped(request_of(source=source, fallback_wkt=reference.ExportToWkt()))
    assert record.at("input", "crs_from_layer") is True
    assert "assign it" in record.texts("repeat", "notes")[0]


def test_a_map_on_temporary_files_says_so(request_of, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "processing_abc" / "1"
    folder.mkdir(parents=True)
    request = request_of()
    image = folder / "image.tif"
    Path(request.image.source).rename(image)
    record = mapped(changed(request, source=str(image)))
    assert "temporary" in record.texts("repeat", "notes")[0]


def test_a_new_map_takes_the_description_of_the_old_one_along(request_of) -> None:
    request = request_of()
    first = mapped(request)
    second = mapped(changed(request, sieve=4.0))
    assert first.text("repeat", "parameters", "SIEVE") == ""
    assert second.text("repeat", "parameters", "SIEVE") == "4.0"


def test_what_was_kept_of_an_interrupted_run_is_told(request_of, tmp_path) -> None:
    record = mapped(request_of())
    assert record.number("kept_of_an_interrupted_run") == 0.0


def test_a_cancelled_run_leaves_the_old_map_with_its_description(request_of, recorder) -> None:
    request = request_of()
    mapped(request)
    before = request.output.map.read_bytes(), record_file(request.output.map).read_bytes()

    def stop(_path, _classes) -> None:
        recorder.stop = True

    with pytest.raises(Cancelled):
        make_map(changed(request, sieve=4.0), recorder, stop)
    assert before == (request.output.map.read_bytes(), record_file(request.output.map).read_bytes())
    assert np.all([path.name[0] != "." for path in request.output.map.parent.iterdir()])
