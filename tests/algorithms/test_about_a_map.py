"""scasnet:modelinfo on maps: what they say, whether they are whole, and how to repeat them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import Qgis, QgsApplication, QgsProcessingException, QgsProviderRegistry

from scasnet_qgis import paths
from scasnet_qgis.outputs.provenance.run_record import from_text, record_file, to_text
from tests.common.pages import read
from tests.real_qgis import CLASSES, leftovers, qgis_process

TILES = {"TILE_SIZE": 128, "OVERLAP": 32}


@pytest.fixture(scope="session")
def delivered(provider, image, tmp_path_factory) -> Path:
    """A map with probabilities, as the toolbox makes it."""
    import processing

    folder = tmp_path_factory.mktemp("delivered")
    outputs = {"OUTPUT": str(folder / "map.tif"), "PROBABILITIES": str(folder / "scores.tif")}
    processing.run("scasnet:segment", {"INPUT": str(image), **outputs, **TILES})
    return folder / "map.tif"


@pytest.fixture
def land_cover(delivered, tmp_path) -> Path:
    """A copy of the map and its description, to be ill-treated."""
    (tmp_path / "maps").mkdir()
    for file in (delivered, record_file(delivered)):
        shutil.copy2(file, tmp_path / "maps")
    return tmp_path / "maps" / "map.tif"


@pytest.fixture
def info(run, tmp_path):
    """Runs it on a map; gives its text, JSON and page."""

    def call(path: Path):
        files = {"JSON": str(tmp_path / "map.json"), "HTML": str(tmp_path / "map.html")}
        text = run("scasnet:modelinfo", INPUT=str(path), **files)["TEXT"]
        content = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))
        return text, content, read((tmp_path / "map.html").read_text(encoding="utf-8"))

    return call


def edit(path: Path, change) -> None:
    """Change a description as somebody who knows how it is written."""
    file = record_file(path)
    content = json.loads(file.read_text(encoding="utf-8"))
    for key in ("checksum", "format", "version"):
        content.pop(key)
    change(content)
    file.write_text(to_text(content), encoding="utf-8")


def test_a_delivered_map(info, delivered, image, feedback):
    text, content, page = info(delivered)
    model = hashlib.sha256(paths.default_model().read_bytes()).hexdigest()
    source = hashlib.sha256(image.read_bytes()).hexdigest()
    own = hashlib.sha256(delivered.read_bytes()).hexdigest()
    versions = (Qgis.version(), gdal.VersionInfo("RELEASE_NAME"))
    for part in (model, source, own, "ScasNet VGG compact", str(image), *versions):
        assert part in text
        assert part in page.text
    assert "File unchanged since creation: yes" in text
    assert content["state"] == "as delivered"
    assert content["description"]["intact"] is True
    assert content["file"]["sha256"] == own
    assert content["in_the_file"]["MODEL_SHA256"] == model
    assert [entry["name"] for entry in content["classes"]] == CLASSES
    assert sum(entry["pixels"] for entry in content["classes"]) == 300 * 260
    assert "Warning" not in text
    start = feedback.lines.index(text.splitlines()[0])
    assert feedback.lines[start : start + text.count("\n") + 1] == text.splitlines()


def test_no_label_says_two_things_and_none_is_a_key(info, delivered):
    """Labels of things that there is one of stand there once; settings have words."""
    text, content, _ = info(delivered)
    labels = [line.split(": ")[0] for line in text.splitlines()]
    once = [label for label in labels if not label.startswith(("Image file", "Note"))]
    assert sorted(set(once)) == sorted(once)
    settings = content["description"]["content"]["settings"]
    keys = {*settings["given"], *settings["used"]}
    assert not [label for label in labels if label.split(",")[0] in keys]
    assert "Largest tile, as used: 128 columns x 128 rows" in text
    assert "Class probabilities, as given: yes" in text
    assert "Pixels of the map: 300 columns x 260 rows" in text


def test_page_of_a_map(info, delivered):
    _, content, page = info(delivered)
    assert page.texts("h1") == ["map.tif"]
    classes = page.all("table")[1]
    assert [row.texts("th")[0] for row in classes.all("tr")[1:]] == CLASSES
    swatches = [swatch.attributes["style"] for swatch in classes.all("span")]
    assert swatches == [f"background:{entry['color']}" for entry in content["classes"]]
    assert page.texts("pre")[0].startswith("qgis_process run scasnet:segment -- INPUT=")
    assert not page.all("script")


def test_probabilities_have_the_same_description(info, delivered):
    text, content, _ = info(delivered.with_name("scores.tif"))
    assert content["state"] == "as delivered"
    assert "File unchanged since creation: yes" in text


@pytest.mark.fault(
    "the command in the description is run", "a second map beside the first, with the same bytes"
)
def test_the_command_makes_the_map_again(delivered, provider, tmp_path):
    """As it stands in the description, but for the names of the new files."""
    record = from_text(record_file(delivered).read_text(encoding="utf-8"))
    text = record.at("repeat", "command").replace(str(delivered.parent), str(tmp_path))
    words = shlex.split(text)
    assert words[0] == "qgis_process"
    done = qgis_process(*words[1:])
    assert done.returncode == 0, done.stderr
    for name in ("map.tif", "scores.tif"):
        again = tmp_path / name.replace(".tif", "_again.tif")
        assert again.read_bytes() == delivered.with_name(name).read_bytes()


def test_all_settings_can_be_given_again(run, image, provider, tmp_path):
    """Also those that a plain run leaves at their defaults."""
    algorithm = QgsApplication.processingRegistry().algorithmById("scasnet:segment")
    x, _, _, y, _, _ = gdal.Open(str(image)).GetGeoTransform()
    given = {
        "BANDS": [3, 2, 1], "EXTENT": f"{x + 50},{x + 180},{y - 160},{y - 40}", "THREADS": 1,
        "SCALES": "0.5;1", "FLIPS": "mirror", "MIN_CONFIDENCE": 0.3, "SIEVE": 5,
        "SIEVE_UNIT": algorithm.parameterDefinition("SIEVE_UNIT").options()[-1],
    }  # fmt: skip
    first = tmp_path / "first.tif"
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(first), **given, **TILES)
    record = from_text(record_file(first).read_text(encoding="utf-8"))
    words = shlex.split(record.at("repeat", "command"))
    parameters = dict(word.split("=", 1) for word in words[4:])
    second = tmp_path / "second.tif"
    run("scasnet:segment", **{**parameters, "OUTPUT": str(second)})
    assert first.read_bytes() == second.read_bytes()
    again = from_text(record_file(second).read_text(encoding="utf-8"))
    assert again.at("settings", "used") == record.at("settings", "used")
    for name in ("scales", "flips", "sieve", "sieve_unit", "min_confidence", "bands"):
        assert again.at("settings", "given", name) == record.at("settings", "given", name)


@pytest.mark.fault(
    "a map is edited after it was made", "its description no longer fits, and that is said"
)
def test_a_map_that_was_changed(info, land_cover):
    dataset = gdal.Open(str(land_cover), gdal.GA_Update)
    dataset.GetRasterBand(1).Fill(1)
    dataset = None
    text, content, page = info(land_cover)
    assert content["state"] == "changed"
    assert content["description"]["intact"] is True
    assert "Warning: The map was changed after the run" in text
    assert "The map was changed after the run" in page.text


def test_a_map_that_was_renamed_with_its_description(info, land_cover):
    other = land_cover.with_name("other.tif")
    record_file(land_cover).rename(record_file(other))
    land_cover.rename(other)
    text, content, _ = info(other)
    assert content["state"] == "as delivered"
    assert "its name was map.tif" in text


def test_a_map_without_its_description_still_names_its_model(info, land_cover):
    record_file(land_cover).unlink()
    text, content, page = info(land_cover)
    assert content["state"] == "unknown"
    assert content["description"]["content"] is None
    model = hashlib.sha256(paths.default_model().read_bytes()).hexdigest()
    assert f"SHA-256 of the model: {model}" in text
    assert [entry["name"] for entry in content["classes"]] == CLASSES
    assert [row.texts("th")[0] for row in page.all("table")[1].all("tr")[1:]] == CLASSES
    assert "Repeat this map" not in text


def test_a_description_of_another_map(info, land_cover, tmp_path):
    gdal.GetDriverByName("GTiff").Create(str(tmp_path / "plain.tif"), 8, 8, 1).FlushCache()
    shutil.copy2(record_file(land_cover), record_file(tmp_path / "plain.tif"))
    text, content, _ = info(tmp_path / "plain.tif")
    assert content["state"] == "changed"
    assert "belongs to another map" in text


@pytest.mark.fault("a description is edited", "that is said")
def test_an_edited_description(info, land_cover):
    file = record_file(land_cover)
    file.write_text(
        file.read_text(encoding="utf-8").replace('"building"', '"forest"'), encoding="utf-8"
    )
    text, content, _ = info(land_cover)
    assert content["description"]["intact"] is False
    assert "was edited after the run" in text


def test_a_description_that_names_another_model(info, land_cover):
    edit(land_cover, lambda content: content["model"].update(sha256="0" * 64))
    text, _, _ = info(land_cover)
    assert "another model than the description says" in text


@pytest.mark.fault(
    "a description is empty, cut off or no JSON",
    "what the map itself says is shown, and what is wrong",
)
@pytest.mark.parametrize("broken", [b"", b"no JSON", b"\xff\0", b"[" * 100_000, b"{}"])
def test_a_broken_description(info, land_cover, broken):
    record_file(land_cover).write_bytes(broken)
    text, content, _ = info(land_cover)
    assert content["state"] == "unknown"
    assert "The description beside the map cannot be read" in text
    assert text.count("SHA-256:") == 1


@pytest.mark.fault(
    "a description with HTML, line ends and shell commands in its texts",
    "no markup, no line, no command comes of it",
)
def test_text_of_strangers_is_no_markup_no_line_and_no_command(info, land_cover, tmp_path):
    hostile = "<script>alert(1)</script><img src=x onerror=y>\nSHA-256: 0000"

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [poison(entry) for entry in value]
        return hostile if isinstance(value, str) else value

    def change(content) -> None:
        content.update(poison(content))
        content["map"]["classes"][0]["color"] = "red;background:url(x)"
        content["settings"]["given"][hostile] = 1
        content["software"][hostile] = hostile
        content["repeat"]["command"] = f"rm -rf {tmp_path}"
        content["repeat"]["parameters"] = {
            "INPUT": f"a.tif; rm -rf {tmp_path}", "X\nrm": "1", "OUTPUT": "b\nrm -rf /",
        }  # fmt: skip

    edit(land_cover, change)
    text, content, page = info(land_cover)
    assert not page.all("script")
    assert not page.all("img")
    assert "<" not in text
    lines = [line for line in text.splitlines() if line.startswith("SHA-256")]
    assert lines[0] == f"SHA-256: {content['file']['sha256']}"
    assert not [line for line in lines if "0000" in line and line.startswith("SHA-256: 0")]
    command = [line for line in text.splitlines() if "qgis_process" in line]
    assert len(command) == 1
    words = shlex.split(command[0].split(": ", 1)[1])
    assert words[3:] == ["--", f"INPUT=a.tif; rm -rf {tmp_path}"]
    assert "red;" not in str([swatch.attributes for swatch in page.all("span")])


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[]], {"a": {}}, 1e400, True])
def test_odd_kinds_of_content_are_left_out(info, land_cover, value):
    def change(content) -> None:
        for key in content:
            if key != "files":
                content[key] = value

    edit(land_cover, change)
    text, content, _ = info(land_cover)
    assert content["state"] == "as delivered"
    assert "File unchanged since creation: yes" in text


@pytest.mark.parametrize("content", [None, b"no raster"])
def test_what_is_no_map_is_one_sentence(run, tmp_path, content):
    path = tmp_path / "map.tif"
    if content:
        path.write_bytes(content)
    with pytest.raises(QgsProcessingException, match=r"map\.tif"):
        run("scasnet:modelinfo", INPUT=str(path), HTML=str(tmp_path / "map.html"))
    assert leftovers(tmp_path, "map.tif") == []


def test_an_ordinary_raster_is_no_map(run, image, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"corner\.tif"):
        run("scasnet:modelinfo", INPUT=str(image))


def test_neither_map_nor_description_is_overwritten(run, land_cover):
    before = {file: file.read_bytes() for file in land_cover.parent.iterdir()}
    for target in before:
        with pytest.raises(QgsProcessingException):
            run("scasnet:modelinfo", INPUT=str(land_cover), JSON=str(target))
    assert before == {file: file.read_bytes() for file in land_cover.parent.iterdir()}


def test_cancel_leaves_no_file(run, land_cover, tmp_path, feedback):
    feedback.cancel()
    assert run("scasnet:modelinfo", INPUT=str(land_cover), JSON=str(tmp_path / "a.json")) == {}
    assert leftovers(tmp_path, "maps") == []


def test_nothing_that_a_description_names_is_opened(info, land_cover, tmp_path):
    """A pipe would block for ever, and a share would be told who reads."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def change(content) -> None:
        content["input"]["source"] = content["model"]["path"] = str(pipe)
        content["input"]["files"][0]["path"] = str(pipe)
        content["repeat"]["parameters"]["INPUT"] = str(pipe)

    edit(land_cover, change)
    text, _, _ = info(land_cover)
    assert str(pipe) in text


def test_qgis_shows_no_layer_for_a_description(provider, delivered):
    registry = QgsProviderRegistry.instance()
    for flags in (Qgis.SublayerQueryFlags(), Qgis.SublayerQueryFlag.FastScan):
        found = registry.querySublayers(str(record_file(delivered)), Qgis.SublayerQueryFlags(flags))
        assert found == []


def test_qgis_process(delivered):
    done = qgis_process("--json", "run", "scasnet:modelinfo", "--", f"INPUT={delivered}")
    assert done.returncode == 0, done.stderr
    assert "File unchanged since creation: yes" in json.loads(done.stdout)["results"]["TEXT"]
