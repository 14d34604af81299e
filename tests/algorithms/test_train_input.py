"""scasnet:train: how images and labels are matched, and what is refused before anything starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingParameterDefinition,
    QgsRasterLayer,
    QgsVectorLayer,
)

from scasnet_qgis import environment
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.labels import classes_of
from scasnet_qgis.qgis_ui.layers.training_layers import TrainingData, TrainingLayers
from scasnet_qgis.training.data.model_inputs import model_bands, model_classes
from scasnet_qgis.training.data.sources import expand
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.settings.parsing import band_numbers, start_from, validation_share
from tests.qgis_ui import fields
from tests.real_qgis import leftovers


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two images side by side, one far away, and the labels of the first two."""
    folder = tmp_path_factory.mktemp("place")
    fields.write_image(folder / "west.tif", 3)
    fields.write_image(folder / "east.tif", 4, shift=600)
    fields.write_image(folder / "far.tif", 5, shift=90_000)
    fields.write_labels(folder / "west_labels.tif", 3)
    fields.write_labels(folder / "east_labels.tif", 4, shift=600)
    (folder / "east_labels.tif").rename(folder / "east_truth.tif")
    return folder


def classes(data):
    return model_classes(expand(data.entries, Path()), data.known_classes, Progress())


@pytest.fixture
def algorithm(provider):
    return QgsApplication.processingRegistry().createAlgorithmById("scasnet:train")


@pytest.fixture
def read(algorithm, context, feedback):
    """What the parameters mean, without running anything."""

    def read(**parameters) -> TrainingData:
        return TrainingLayers(algorithm, parameters, context, feedback).data()

    return read


def pairs(data):
    return [
        (entry["image"].split("/")[-1], entry["labels"].split("/")[-1], entry["role"])
        for entry in data.entries
    ]


def test_each_image_gets_the_labels_that_lie_on_it(read, place):
    data = read(
        INPUT=[str(place / "west.tif"), str(place / "east.tif"), str(place / "far.tif")],
        LABELS=[str(place / "east_truth.tif"), str(place / "west_labels.tif")],
    )
    assert pairs(data) == [
        ("west.tif", "west_labels.tif", "split"),
        ("east.tif", "east_truth.tif", "split"),
    ]
    assert all(entry["by_place"] for entry in data.entries)
    assert [str(warning) for warning in data.warnings] == [
        "No labels overlap the image far: it is not used."
    ]


def test_labels_in_another_reference_system_are_found(read, place, tmp_path):
    target = tmp_path / "degrees.tif"
    gdal.Warp(str(target), str(place / "west_labels.tif"), dstSRS="EPSG:4326")
    data = read(INPUT=str(place / "west.tif"), LABELS=str(target))
    assert pairs(data) == [("west.tif", "degrees.tif", "split")]
    with pytest.raises(InputError, match="degrees"):
        read(INPUT=str(place / "far.tif"), LABELS=str(target))


def test_first_of_several_labels_is_used_and_the_others_are_named(read, place, tmp_path):
    double = tmp_path / "double.tif"
    double.write_bytes((place / "west_labels.tif").read_bytes())
    data = read(
        INPUT=[str(place / "west.tif")],
        LABELS=[str(double), str(place / "west_labels.tif"), str(place / "east_truth.tif")],
    )
    assert pairs(data) == [("west.tif", "double.tif", "split")]
    assert [str(warning) for warning in data.warnings] == [
        "Several layers of labels overlap the image west: only double is used.",
        "The labels east_truth overlap no image: not used.",
    ]


def test_polygons_bring_their_field_classes_and_file(read, place):
    data = read(INPUT=str(place / "west.tif"), LABELS=[fields.polygons()], CLASS_FIELD="kind")
    (entry,) = data.entries
    assert entry["field"] == "kind"
    assert gdal.OpenEx(entry["labels"], gdal.OF_VECTOR).GetLayer(0).GetFeatureCount() == 18
    assert classes(data) == [
        {"value": "meadow", "name": "Meadow", "color": "#3c8c3c"},
        {"value": "sand", "name": "Sand", "color": "#c8be96"},
        {"value": "lake", "name": "Lake", "color": "#2850aa"},
    ]


def test_classes_of_several_labels_are_merged_by_value(read, place):
    data = read(
        INPUT=[str(place / "west.tif"), str(place / "east.tif")],
        LABELS=[fields.polygons(), str(place / "east_truth.tif")],
        CLASS_FIELD="code",
    )
    found = classes(data)
    assert [(entry["value"], entry["name"]) for entry in found] == [
        ("1", "class 1"),
        ("2", "class 2"),
        ("5", "class 5"),
    ]


def test_order_matches_one_by_one(read, place):
    images = [str(place / "west.tif"), str(place / "east.tif")]
    data = read(
        INPUT=images,
        LABELS=[str(place / "east_truth.tif"), str(place / "west_labels.tif")],
        MATCH="order",
    )
    assert pairs(data) == [
        ("west.tif", "east_truth.tif", "split"),
        ("east.tif", "west_labels.tif", "split"),
    ]
    assert not any(entry["by_place"] for entry in data.entries)
    with pytest.raises(SettingError, match=r"2.*1"):
        read(INPUT=images, LABELS=str(place / "east_truth.tif"), MATCH="order")


def test_order_without_position_needs_equal_sizes(read, place, tmp_path):
    small = tmp_path / "small.tif"
    gdal.GetDriverByName("GTiff").Create(str(small), 50, 40, 1)
    with pytest.raises(InputError, match=r"west.*small"):
        read(INPUT=str(place / "west.tif"), LABELS=str(small), MATCH="order")


def test_images_for_validation_leave_all_others_to_learn_from(read, place, algorithm, context):
    parameters = {
        "INPUT": str(place / "west.tif"),
        "LABELS": [str(place / "west_labels.tif"), str(place / "east_truth.tif")],
        "VALIDATION_INPUT": str(place / "east.tif"),
    }
    data = read(**parameters)
    assert pairs(data) == [
        ("west.tif", "west_labels.tif", "train"),
        ("east.tif", "east_truth.tif", "validation"),
    ]
    assert algorithm.config(parameters, context, data, Progress()).validation_share == 0.0
    own = {**parameters, "VALIDATION_LABELS": str(place / "east_truth.tif")}
    assert pairs(read(**own))[1] == ("east.tif", "east_truth.tif", "validation")


def test_ground_to_learn_from_and_to_judge_by_is_warned_of(read, place, tmp_path):
    fields.write_image(tmp_path / "overlapping.tif", 4, shift=300)
    parameters = {
        "INPUT": [str(place / "west.tif"), str(place / "far.tif")],
        "LABELS": str(place / "west_labels.tif"),
        "VALIDATION_LABELS": str(place / "east_truth.tif"),
    }
    apart = read(**parameters, VALIDATION_INPUT=str(place / "east.tif"))
    left_out = "No labels overlap the image far: it is not used."
    assert [str(warning) for warning in apart.warnings] == [left_out]
    (tmp_path / "far.tif").write_bytes((place / "far.tif").read_bytes())
    given = [str(tmp_path / "overlapping.tif"), str(tmp_path / "far.tif")]
    shared = [str(warning) for warning in read(**parameters, VALIDATION_INPUT=given).warnings]
    assert shared[:2] == [left_out, left_out]
    assert "overlapping" in shared[2]
    assert "west" in shared[2]


def test_tiles_that_share_an_edge_are_apart(read, place, tmp_path):
    beside = fields.write_image(tmp_path / "beside.tif", 4, shift=fields.COLS * fields.PIXEL - 4)
    labels = fields.write_labels(tmp_path / "beside_truth.tif", 4, shift=576)
    data = read(
        INPUT=str(place / "west.tif"),
        LABELS=str(place / "west_labels.tif"),
        VALIDATION_INPUT=str(beside),
        VALIDATION_LABELS=str(labels),
    )
    assert data.warnings == []


def test_folders_need_no_layers(read, place, tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    fields.write_image(tmp_path / "images" / "a.tif", 3)
    fields.write_labels(tmp_path / "labels" / "a.tif", 3)
    data = read(IMAGE_FOLDER=str(tmp_path / "images"), LABEL_FOLDER=str(tmp_path / "labels"))
    assert data.entries == [
        {
            "image": str(tmp_path / "images"),
            "labels": str(tmp_path / "labels"),
            "by_place": False,
            "role": "split",
        }
    ]
    assert [entry["value"] for entry in classes(data)] == ["1", "2", "5"]


def test_several_paths_in_one_text_are_several_layers(read, place):
    paths = f"{place / 'west.tif'};{place / 'east.tif'}"
    labels = f"{place / 'west_labels.tif'};{place / 'east_truth.tif'}"
    assert len(read(INPUT=paths, LABELS=labels).entries) == 2


def test_settings_hold_what_was_chosen_and_the_defaults(read, place, algorithm, context):
    parameters = {"INPUT": str(place / "west.tif"), "LABELS": str(place / "west_labels.tif")}
    data = read(**parameters)
    plain = algorithm.config(parameters, context, data, Progress())
    classes = [
        {"value": entry.value, "name": entry.name, "color": entry.color}
        for entry in classes_of(str(place / "west_labels.tif"))
    ]
    assert plain == TrainingConfig(data=data.entries, classes=classes)
    assert (plain.encoder, plain.width, plain.time_budget) == ("vgg", 0.25, 60.0)
    chosen = {
        "NETWORK": "resnet",
        "WIDTH": 0.5,
        "EPOCHS": 7,
        "TIME_BUDGET": None,
        "BANDS": [3, 1],
        "VALIDATION": 30,
        "START_FROM": "nothing",
        "MODEL_NAME": " Fields ",
        "HEAD_RATE": 20,
    }
    found = algorithm.config({**parameters, **chosen}, context, data, Progress())
    assert found == replace(
        plain,
        variant="resnet",
        width=0.5,
        epochs=7,
        time_budget=None,
        bands=["blue", "red"],
        band_numbers=[3, 1],
        validation_share=0.3,
        start_from="nothing",
        card={"name": "Fields"},
        head_rate=20.0,
    )
    assert TrainingConfig.of(json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize(
    ("given", "numbers"),
    [("", []), (" ", []), ("4", [4]), ("3;2;1", [3, 2, 1]), ("3, 2 ,1", [3, 2, 1])],
)
def test_band_numbers_in_any_spelling(given, numbers):
    assert band_numbers(given) == numbers


@pytest.mark.parametrize("given", ["red", "1;0", "1;-2", "1.5", "1;1"])
def test_band_numbers_that_are_none_are_refused(given):
    with pytest.raises(SettingError):
        band_numbers(given)


@pytest.mark.parametrize(
    ("bands", "chosen", "expected"),
    [
        (1, [], (["grey"], [1])),
        (2, [], (["band 1", "band 2"], [1, 2])),
        (4, [], (["red", "green", "blue"], [])),
        (4, [4, 3], (["nir", "band 3"], [4, 3])),
    ],
)
def test_bands_of_the_model(qgis_app, tmp_path, bands, chosen, expected):
    path = tmp_path / "image.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), 5, 5, bands, gdal.GDT_UInt16, options=["ALPHA=NO", "PHOTOMETRIC=MINISBLACK"]
    )
    if bands == 4:
        dataset.GetRasterBand(4).SetDescription("NIR")
    dataset = None
    assert model_bands(str(path), chosen) == expected


def test_alpha_is_no_band_to_learn_from(qgis_app, tmp_path):
    path = tmp_path / "image.tif"
    gdal.GetDriverByName("GTiff").Create(str(path), 5, 5, 2, options=["ALPHA=YES"])
    assert model_bands(str(path), [])[1] == [1]


@pytest.mark.parametrize(("share", "expected"), [(0.2, 0.2), (20.0, 0.2), (1.0, 0.01), (0.9, 0.9)])
def test_share_may_be_percent(share, expected):
    assert validation_share(share) == pytest.approx(expected)


def test_start_from_in_the_words_of_the_settings(tmp_path):
    model = tmp_path / "model.onnx"
    model.touch()
    assert start_from("") == "default"
    assert start_from("Nothing") == "nothing"
    assert start_from(str(model)) == str(model)
    assert start_from(str(tmp_path)) == str(tmp_path)


# What cannot work, through the whole algorithm.


@pytest.fixture
def refused_training(refused, place, tmp_path):
    """The sentence that a run is refused with; it leaves nothing behind."""

    def call(**changes) -> str:
        parameters = {
            "INPUT": str(place / "west.tif"),
            "LABELS": str(place / "west_labels.tif"),
            "MODEL": str(tmp_path / "model.onnx"),
            "REPORT": str(tmp_path / "report.html"),
            **changes,
        }
        before = {path.name for path in tmp_path.iterdir()}
        given = {key: value for key, value in parameters.items() if value != ()}
        sentence = refused("scasnet:train", **given)
        assert leftovers(tmp_path, *before) == []
        return sentence

    return call


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"INPUT": (), "LABELS": ()}, "two folders"),
        ({"INPUT": ()}, "two folders"),
        ({"LABELS": ()}, "no labels"),
        ({"IMAGE_FOLDER": "/tmp", "LABEL_FOLDER": "/tmp"}, "not both"),
        ({"INPUT": (), "LABELS": (), "IMAGE_FOLDER": "/tmp"}, "both folders"),
        ({"INPUT": (), "LABELS": (), "IMAGE_FOLDER": "/nowhere", "LABEL_FOLDER": "/tmp"}, "/nowh"),
        ({"INPUT": "/nowhere/a.tif"}, "/nowhere/a.tif"),
        ({"BANDS": "1;9"}, "9"),
        ({"BANDS": "red"}, "red"),
        ({"VALIDATION": 0}, "above 0"),
        ({"VALIDATION_LABELS": "LABELS"}, "no validation images"),
        ({"START_FROM": "/nowhere/m.onnx"}, "/nowhere/m.onnx"),
        ({"START_FROM": __file__}, "test_train_input.py"),
        ({"MODEL": "model.pt"}, ".onnx"),
        ({"MODEL": "/nowhere/model.onnx"}, "/nowhere"),
        ({"REPORT": "/nowhere/report.html"}, "/nowhere"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(refused_training, place, changes, words):
    labels = str(place / "west_labels.tif")
    changes = {key: labels if value == "LABELS" else value for key, value in changes.items()}
    assert words in refused_training(**changes)


def test_what_is_learned_from_is_not_judged_by(refused_training, place):
    """One image with labels of their own for validation is fine, the same labels are not."""
    sentence = refused_training(VALIDATION_INPUT=str(place / "west.tif"))
    assert "west" in sentence


def test_model_is_not_written_over_the_one_it_starts_from(refused_training, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_text("somebody's work")
    assert "model.onnx" in refused_training(START_FROM=str(model))
    assert model.read_text() == "somebody's work"


def test_polygons_without_a_field_list_theirs(refused_training):
    assert "kind, code" in refused_training(LABELS=[fields.polygons()])
    assert "kind, code" in refused_training(LABELS=[fields.polygons()], CLASS_FIELD="cover")


@pytest.mark.parametrize("kind", ["Point", "LineString"])
def test_labels_must_be_polygons(refused_training, kind):
    layer = QgsVectorLayer(f"{kind}?crs=EPSG:32640&field=kind:string", "spots", "memory")
    assert "spots" in refused_training(LABELS=[layer], CLASS_FIELD="kind")


def test_layer_without_polygons_is_refused(refused_training):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32640&field=kind:string", "empty", "memory")
    assert "empty" in refused_training(LABELS=[layer], CLASS_FIELD="kind")


def test_labels_elsewhere_are_refused(refused_training):
    drawn = fields.polygons(shift=90_000)
    assert "drawn" in refused_training(LABELS=[drawn], CLASS_FIELD="kind")


def test_one_class_is_too_few(refused_training):
    drawn = fields.polygons()
    drawn.setSubsetString("kind = 'lake'")
    assert "Lake" in refused_training(LABELS=[drawn], CLASS_FIELD="kind")


def test_vector_layer_is_no_image(refused_training):
    layer = fields.polygons()
    assert "drawn" in refused_training(INPUT=[layer])


def test_raster_that_is_no_file_is_refused(refused_training):
    layer = QgsRasterLayer("type=xyz&url=http://localhost/none/{z}/{x}/{y}.png", "tiles", "wms")
    assert "tiles" in refused_training(INPUT=[layer])


def test_missing_pytorch_gives_the_exact_command(refused_training, training_python, feedback):
    training_python("/usr/bin/python3")
    message = refused_training(MODEL=QgsProcessing.TEMPORARY_OUTPUT)
    assert "/usr/bin/python3 lacks PyTorch" in message
    assert any("deleted when QGIS closes" in warning for warning in feedback.warnings)
    assert all(command in message for command in environment.training_commands())


def test_rare_settings_are_folded_away(algorithm):
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    plain = [
        parameter.name()
        for parameter in algorithm.parameterDefinitions()
        if not parameter.flags() & flag
    ]
    assert plain == [
        *("INPUT", "LABELS", "CLASS_FIELD", "BANDS", "VALIDATION"),
        *("NETWORK", "START_FROM", "TIME_BUDGET", "EPOCHS", "MODEL_NAME", "MODEL", "REPORT"),
    ]
