"""The model that ships: its accuracy, its card, and that tile borders do not show on its maps."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from benchmarks.accuracy import measure_accuracy
from benchmarks.measures import validation_images
from benchmarks.resolutions import measure_resolutions
from benchmarks.seams import measure_seams
from scasnet_qgis import paths
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.models.model_file import inspect

pytestmark = pytest.mark.slow

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def card():
    return inspect(paths.default_model()).card


@pytest.fixture(scope="module")
def seams(tmp_path_factory, card):
    """Smaller tiles than the default make more borders; the overlap is the default one."""
    return measure_seams(512, card.overlap, tmp_path_factory.mktemp("maps"))


def test_card_is_complete(card):
    assert card.class_names == ["building", "land", "road", "vegetation", "water"]
    assert card.bands == ("red", "green", "blue")
    assert card.resolution == (0.95, 1.17)
    for text in (card.name, card.licence, card.attribution, card.training_data, card.description):
        assert text
    assert set(card.accuracy["iou"]) == set(card.class_names)


def test_file_is_small_enough():
    assert paths.default_model().stat().st_size <= 16 * MEGABYTE


@pytest.mark.long
def test_accuracy_on_the_validation_images(seams):
    assert seams.overall_accuracy >= 0.875
    assert seams.mean_iou >= 0.695


def test_card_states_the_accuracy_that_is_measured(card):
    # The card's figures come from PyTorch, whose last digit may differ from ONNX Runtime's.
    mapped = measure_accuracy()
    stated = card.accuracy
    assert mapped.overall_accuracy == pytest.approx(stated["overall_accuracy"], abs=0.001)
    assert mapped.mean_iou == pytest.approx(stated["mean_iou"], abs=0.001)


def test_card_agrees_with_its_own_confusion_matrix(card):
    stated = ConfusionMatrix(np.array(card.accuracy["confusion"]))
    assert stated.overall_accuracy == pytest.approx(card.accuracy["overall_accuracy"], abs=1e-4)
    assert stated.mean_iou == pytest.approx(card.accuracy["mean_iou"], abs=1e-4)
    assert list(card.accuracy["iou"].values()) == pytest.approx(list(stated.iou), abs=1e-4)


@pytest.mark.long
def test_tile_borders_do_not_show(seams):
    assert seams.seams <= 1.1


@pytest.mark.long
def test_tiles_cost_no_accuracy(seams):
    assert seams.overall_accuracy >= seams.whole_overall_accuracy - 0.003


@pytest.mark.long
def test_images_of_other_pixels_are_mapped_better_at_the_model_s_resolution(tmp_path):
    """The middle of three images, three times as fine as they are, and half as fine."""
    scenes = []
    for image, truth in [validation_images()[index] for index in (0, 5, 7)]:
        cut = tmp_path / f"{image.stem}.png", tmp_path / f"{image.stem}_labels.png"
        for source, target in zip((image, truth), cut):
            dataset = gdal.Open(str(source))
            left, top = (dataset.RasterXSize - 360) // 2, (dataset.RasterYSize - 360) // 2
            gdal.Translate(str(target), dataset, srcWin=[left, top, 360, 360])
        scenes.append(cut)
    found = measure_resolutions(scenes, (0.35, 1.05, 2.1))
    accuracy = {
        size: {way: assessment.matrix.overall_accuracy for way, assessment in ways.items()}
        for size, ways in found.items()
    }
    assert accuracy["1.05"]["on"] == accuracy["1.05"]["off"]
    assert accuracy["0.35"]["on"] > accuracy["0.35"]["off"] + 0.05
    assert accuracy["0.35"]["on"] > accuracy["1.05"]["on"] - 0.03
    assert accuracy["2.1"]["on"] > accuracy["2.1"]["off"] + 0.02
