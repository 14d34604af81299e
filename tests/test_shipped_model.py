"""The model that ships: its accuracy, its card, and that tile borders do not show on its maps."""

from __future__ import annotations

import pytest

from benchmarks.accuracy import measure_accuracy
from benchmarks.seams import measure_seams
from scasnet_qgis import paths
from scasnet_qgis.models.onnx_file import inspect

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


def test_accuracy_on_the_validation_images(seams):
    assert seams.overall_accuracy >= 0.875
    assert seams.mean_iou >= 0.695


def test_card_states_the_accuracy_that_is_measured(card):
    # The card's figures come from PyTorch, whose last digit may differ from ONNX Runtime's.
    mapped = measure_accuracy()
    stated = card.accuracy
    assert mapped.overall_accuracy == pytest.approx(stated["overall_accuracy"], abs=0.001)
    assert mapped.mean_iou == pytest.approx(stated["mean_iou"], abs=0.001)


def test_tile_borders_do_not_show(seams):
    assert seams.seams <= 1.1


def test_tiles_cost_no_accuracy(seams):
    assert seams.overall_accuracy >= seams.whole_overall_accuracy - 0.003
