"""Pictures of validation tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.training.examples import colored, read_examples, save_examples

from .work_folder import COLORS, example


def pixels(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


def test_three_pictures_for_each_example(tmp_path: Path) -> None:
    image, truth, prediction = example(5)
    save_examples(tmp_path / "new" / "examples", [example(4), (image, truth, prediction)], COLORS)
    folder = tmp_path / "new" / "examples"
    kinds = ("image", "prediction", "truth")
    expected = [f"0{number}_{kind}.png" for number in (1, 2) for kind in kinds]
    assert sorted(each.name for each in folder.iterdir()) == expected
    np.testing.assert_array_equal(pixels(folder / "02_image.png"), image)
    shown = pixels(folder / "02_prediction.png")
    blue, red = np.array([0, 0, 255]), np.array([255, 0, 0])
    wanted = np.where((prediction == 0)[..., None], blue, red).transpose(2, 0, 1)
    np.testing.assert_array_equal(shown, wanted)


def test_no_class_is_a_light_grey_ground() -> None:
    _, truth, _ = example(1)
    picture = colored(truth, COLORS)
    nothing = picture[:, truth == 255]
    assert (nothing == nothing[0]).all(), "grey"
    assert nothing.min() > 200
    assert len(np.unique(nothing)) == 2, "chequered"
    assert set(map(tuple, picture[:, truth < 255].T)) == {(0, 0, 255), (255, 0, 0)}


def test_earlier_examples_are_gone(tmp_path: Path) -> None:
    save_examples(tmp_path, [example(each) for each in range(3)], COLORS)
    (tmp_path / "notes.png").write_text("the user's own")
    save_examples(tmp_path, [example(9)], COLORS)
    assert len(read_examples(tmp_path)) == 1
    assert (tmp_path / "notes.png").exists()
    assert len(list(tmp_path.iterdir())) == 4


def test_they_are_read_in_their_order(tmp_path: Path) -> None:
    save_examples(tmp_path, [example(each) for each in range(11)], COLORS)
    found = read_examples(tmp_path)
    assert len(found) == 11
    assert found[9][2] == (tmp_path / "10_prediction.png").read_bytes()
    assert read_examples(tmp_path / "nowhere") == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="examples"):
        save_examples(tmp_path / "file" / "examples", [example(1)], COLORS)
