"""scasnet:modelinfo on the shipped model, on those of other programs, and on odd ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProcessingException

from scasnet_qgis import paths
from scasnet_qgis.common.model_card import ModelCard, ModelClass, to_metadata
from scasnet_qgis.models.model_file import inspect
from tests.common.pages import read
from tests.models.tiny_models import CLASS_NAMES, class_numbers, pixelwise
from tests.real_qgis import CLASSES, leftovers, qgis_process

DEEPNESS = {
    "model_type": '"Segmentor"',
    "class_names": CLASS_NAMES,
    "resolution": "25.0",
    "tile_size": "64",
    "tiles_overlap": "20",
    "standardization_mean": "[0.4, 0.5, 0.6]",
    "standardization_std": "[0.2, 0.25, 0.3]",
    "seg_thresh": "0.5",
    "author": '"somebody"',
}
GEODEEP = {"model_type": "Segmentor", "class_names": "{'0': 'a', '1': 'b', '2': 'c'}"}


@pytest.fixture
def info(run, tmp_path):
    """Runs it on a model; gives its text, JSON and page."""

    def call(model: Path | None = None):
        files = {"JSON": str(tmp_path / "card.json"), "HTML": str(tmp_path / "card.html")}
        model_parameter = {} if model is None else {"INPUT": str(model)}
        outputs = run("scasnet:modelinfo", **files, **model_parameter)
        assert {key: outputs[key] for key in files} == files
        content = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
        page = read((tmp_path / "card.html").read_text(encoding="utf-8"))
        return outputs["TEXT"], content, page

    return call


def test_shipped_model(info, feedback):
    text, content, page = info()
    file = paths.default_model()
    card = inspect(file).card
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for part in (card.name, card.licence, card.attribution, digest, "#d7301f"):
        assert part in text
        assert part in page.text
    start = feedback.lines.index(f"Model: {card.name}")
    assert feedback.lines[start : start + text.count("\n") + 1] == text.splitlines()
    assert f"Classes: {', '.join(CLASSES)}" in text
    assert f"road {card.accuracy['iou']['road']:.3f}" in text
    assert f"vegetation {card.accuracy['confusion'][3][3]:,}" in text
    assert content["file"]["sha256"] == digest
    assert content["file"]["bytes"] == file.stat().st_size
    assert content["file"]["precision"] in ("float32", "float16")
    assert content["card"]["accuracy"]["confusion"] == card.accuracy["confusion"]
    assert content["input"]["fixed_size"] is None


def test_page_of_the_shipped_model(info):
    _, _, page = info()
    card = inspect(paths.default_model()).card
    assert page.texts("h1") == [card.name]
    classes = page.all("table")[1]
    assert [row.texts("th")[0] for row in classes.all("tr")[1:]] == CLASSES
    swatches = [swatch.attributes["style"] for swatch in classes.all("span")]
    assert swatches == [f"background:{entry.color}" for entry in card.classes]
    heat = next(table for table in page.all("table") if table.attributes.get("class") == "heat")
    assert len(heat.all("td")) == 25
    assert not page.all("script")


def test_json_has_every_field_of_the_card(info, tmp_path):
    card = ModelCard(
        name="Ours",
        classes=(ModelClass("sand & gravel", "#d9c79a"), ModelClass("Gebäude", "#112233")),
        bands=("red", "nir"),
        value_range=(0.0, 10000.0),
        mean=(0.1, 0.2),
        std=(0.3, 0.4),
        resolution=(0.2, 0.8),
        tile_size=64,
        overlap=16,
        network="VGG ScasNet",
        width=0.25,
        training_data="a",
        accuracy={"iou": {"sand & gravel": None}, "confusion": [[5, 1], [2, 7]]},
        licence="CC0",
        attribution="b",
        description="Two lines:\nsecond.",
    )
    path = pixelwise(tmp_path / "ours.onnx", bands=2, classes=2, metadata=to_metadata(card))
    text, content, page = info(path)
    given = content["card"]
    classes = tuple(ModelClass(**entry) for entry in given.pop("classes"))
    assert ModelCard(classes=classes, **given) == card
    assert "Ground resolution: 0.2 to 0.8 m" in text
    assert "mean 0.1, 0.2, standard deviation 0.3, 0.4" in text
    assert "sand & gravel –" in text
    assert "Description: Two lines:\n    second." in text
    assert "Gebäude" in page.texts("th")


def test_model_made_for_deepness(info, tmp_path):
    text, content, _ = info(pixelwise(tmp_path / "theirs.onnx", metadata=DEEPNESS))
    assert [entry["name"] for entry in content["card"]["classes"]] == ["water", "forest", "town"]
    assert content["card"]["standardise"] is True
    assert content["metadata_keys"]["scasnet"] == []
    assert sorted(content["metadata_keys"]["deepness_geodeep"]) == sorted(
        set(DEEPNESS) - {"author"}
    )
    assert content["metadata_keys"]["other"] == ["author"]
    assert "mean 0.4, 0.5, 0.6, standard deviation 0.2, 0.25, 0.3" in text
    assert "64 pixels, overlap 12" in text
    assert "(not read): author" in text


def test_model_made_for_geodeep(info, tmp_path):
    path = pixelwise(tmp_path / "theirs.onnx", batch=1, size=(96, 96), metadata=GEODEEP)
    text, content, _ = info(path)
    assert [entry["name"] for entry in content["card"]["classes"]] == ["a", "b", "c"]
    assert content["input"]["fixed_size"] == [96, 96]
    assert "96 × 96 pixels only" in text
    assert "(tiles): 1" in text
    assert "values from 0 to 1" in text


def test_model_that_says_nothing(info, tmp_path):
    path = pixelwise(
        tmp_path / "dumb.onnx",
        kind="float16",
        classes=1,
        margin=4,
        size=(64, 64),
        activation="Sigmoid",
    )
    text, content, _ = info(path)
    assert "defaults" in text
    assert "Model: dumb" in text
    assert "4 pixels on each side" in text
    assert "4, stored as float16" in text
    assert content["file"]["precision"] == "float16"
    assert content["input"]["type"] == "float16"
    assert content["output"] == {"name": "scores", "classes": 2, "sigmoid": True, "margin": 4}


def test_text_of_strangers_is_no_markup_and_no_line_of_its_own(info, tmp_path):
    hostile = "<script>alert(1)</script><img src=x>"
    metadata = {
        "scasnet_name": json.dumps(hostile),
        "class_names": json.dumps({"0": hostile, "1": "b", "2": "c"}),
        "scasnet_colors": json.dumps(["red;background:url(x)", "#000000", "#111111"]),
        "scasnet_licence": json.dumps("mine\nSHA-256: 0000"),
        hostile: "1",
        **{f"more {index}": "1" for index in range(300)},
    }
    text, content, page = info(pixelwise(tmp_path / "bad.onnx", metadata=metadata))
    assert not page.all("script")
    assert not page.all("img")
    assert [line for line in text.splitlines() if line.startswith("SHA-256")] == [
        f"SHA-256: {content['file']['sha256']}"
    ]
    assert "<" not in text
    assert len(content["metadata_keys"]["other"]) < 110


def test_page_opens_in_the_results_viewer(provider):
    algorithm = QgsApplication.processingRegistry().algorithmById("scasnet:modelinfo")
    kinds = {output.name(): output.type() for output in algorithm.outputDefinitions()}
    assert kinds == {"JSON": "outputFile", "HTML": "outputHtml", "TEXT": "outputString"}


def test_files_are_not_needed(run, tmp_path):
    assert set(run("scasnet:modelinfo", INPUT=str(paths.default_model()))) == {"TEXT"}


@pytest.mark.parametrize("content", [None, "no model", "indices"])
def test_what_is_no_model_is_one_sentence(run, tmp_path, content):
    model = tmp_path / "model.onnx"
    if content == "indices":
        class_numbers(model)
    elif content:
        model.write_text(content)
    with pytest.raises(QgsProcessingException, match=r"model\.onnx") as caught:
        run("scasnet:modelinfo", INPUT=str(model), HTML=str(tmp_path / "card.html"))
    assert "\n" not in str(caught.value).replace("Unable to execute algorithm\n", "")
    assert leftovers(tmp_path, "model.onnx") == []


def test_model_is_never_overwritten(run, tmp_path):
    model = pixelwise(tmp_path / "model.onnx")
    before = model.read_bytes()
    with pytest.raises(QgsProcessingException, match=r"model\.onnx"):
        run("scasnet:modelinfo", INPUT=str(model), JSON=str(model), HTML=str(tmp_path / "a.html"))
    assert model.read_bytes() == before
    assert leftovers(tmp_path, "model.onnx") == []


def test_cancel_leaves_no_file(run, tmp_path, feedback):
    feedback.cancel()
    assert run("scasnet:modelinfo", JSON=str(tmp_path / "card.json")) == {}
    assert leftovers(tmp_path) == []


def test_qgis_process(tmp_path):
    page = tmp_path / "card.html"
    done = qgis_process("--json", "run", "scasnet:modelinfo", "--", f"HTML={page}")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["HTML"] == str(page)
    assert f"Classes: {', '.join(CLASSES)}" in results["TEXT"]
    assert leftovers(tmp_path, "card.html") == []
