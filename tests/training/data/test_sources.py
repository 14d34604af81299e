"""What a training learns from, given as files, as folders, or wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from scasnet_qgis.common.errors import TrainingError
from scasnet_qgis.training.data.sources import Source, expand


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_files_are_taken_as_they_are_given(tmp_path):
    touch(tmp_path, "a.tif", "b.gpkg", "c.tif")
    entry = {"image": "a.tif", "labels": str(tmp_path / "b.gpkg"), "layer": "l", "field": "f"}
    image, labels, other = (str(tmp_path / name) for name in ("a.tif", "b.gpkg", "c.tif"))
    second = {**entry, "image": "c.tif", "role": "validation", "by_place": False}
    assert expand([entry, second], tmp_path) == [
        Source(image, labels, "l", "f", True, "split", "a"),
        Source(other, labels, "l", "f", False, "validation", "c"),
    ]


@pytest.mark.parametrize("role", ["train", "split"])
def test_what_is_learned_from_is_not_judged_by(tmp_path, role):
    touch(tmp_path, "a.tif", "b.gpkg", "c.gpkg")
    (tmp_path / "link.tif").symlink_to("a.tif")
    entry = {"image": "a.tif", "labels": "b.gpkg", "role": role}
    again = {**entry, "image": str(tmp_path / "link.tif"), "role": "validation"}
    with pytest.raises(TrainingError, match="link"):
        expand([entry, again], tmp_path)
    # Labels of their own may be of other places in the same image.
    assert len(expand([entry, {**again, "labels": "c.gpkg"}], tmp_path)) == 2
    assert len(expand([entry, {**again, "layer": "other"}], tmp_path)) == 2


def test_what_is_no_path_is_left_to_gdal(tmp_path):
    touch(tmp_path, "a.tif")
    entry = {"image": "GPKG:x.gpkg:image", "labels": "/vsizip/x.zip/labels.tif"}
    found = expand([entry], tmp_path)[0]
    assert (found.image, found.labels) == (entry["image"], entry["labels"])


def test_a_file_may_be_named_with_options_of_qgis(tmp_path):
    touch(tmp_path, "a.tif", "b.tif")
    entry = {"image": "a.tif|option:OVERVIEW_LEVEL=0", "labels": "b.tif|option:NUM_THREADS=1.5"}
    found = expand([entry], tmp_path)[0]
    assert (found.image, found.name) == (str(tmp_path / entry["image"]), "a")
    with pytest.raises(TrainingError, match=r"c\.tif"):
        expand([{**entry, "image": "c.tif|option:OVERVIEW_LEVEL=0"}], tmp_path)


def test_folders_are_paired_by_name(tmp_path):
    touch(tmp_path / "images", "a.JPG", "b.tif", "c.png", "b.tif.aux.xml", "a.jgw")
    touch(tmp_path / "labels", "a.png", "b.png", "c.tif", "readme.txt")
    entry = {"image": "images", "labels": "labels"}
    found = expand([{**entry, "role": "train"}], tmp_path)
    assert [source.name for source in found] == ["a", "b", "c"]
    assert [Path(source.image).suffix for source in found] == [".JPG", ".tif", ".png"]
    assert [Path(source.labels).suffix for source in found] == [".png", ".png", ".tif"]
    assert {(source.by_place, source.role) for source in found} == {(False, "train")}
    found = expand([{**entry, "validation": "[bc]"}], tmp_path)
    assert [source.role for source in found] == ["train", "validation", "validation"]


@pytest.mark.parametrize(("pattern", "sentence"), [("x*", "2.*0"), ("*", "0.*2")])
def test_a_pattern_must_leave_images_on_both_sides(tmp_path, pattern, sentence):
    touch(tmp_path / "images", "a.png", "b.png")
    touch(tmp_path / "labels", "a.png", "b.png")
    entry = {"image": "images", "labels": "labels", "validation": pattern}
    with pytest.raises(TrainingError, match=sentence):
        expand([entry], tmp_path)


def test_folders_that_do_not_pair_up_are_refused(tmp_path):
    touch(tmp_path / "images", "a.png", "b.png", "c.png")
    touch(tmp_path / "labels", "b.png", "d.png")
    touch(tmp_path / "empty")
    touch(tmp_path / "twice", "b.png", "a.png", "b.tif")
    for image, labels, sentence in (
        ("images", "labels", "a, c, d"),
        ("images", "empty", "a, b, c"),
        ("empty", "empty", "empty"),
        ("images", "twice", r"\bb\b"),
        ("images", "labels/b.png", "images"),
        ("images/a.png", "labels", "labels"),
        ("images/a.png", "nothing.gpkg", r"nothing\.gpkg"),
    ):
        with pytest.raises(TrainingError, match=sentence):
            expand([{"image": image, "labels": labels}], tmp_path)


def test_entries_with_typing_errors_are_refused(tmp_path):
    touch(tmp_path, "a.tif")
    good = {"image": "a.tif", "labels": "a.tif"}
    for bad, said in (
        ({**good, "rol": "train"}, "rol=train"),
        ({**good, "role": "test"}, "role=test"),
        ({"image": "a.tif"}, r"image=a\.tif"),
        ({}, "'image' and 'labels'"),
    ):
        with pytest.raises(TrainingError, match=said):
            expand([bad], tmp_path)
    with pytest.raises(TrainingError, match="No training data"):
        expand([], tmp_path)
