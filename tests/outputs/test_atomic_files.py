"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(targets: list[Path], text: str, fail: bool = False) -> None:
    with atomic_files(targets) as working:
        for target in targets:
            working[target].write_text(text)
        assert not any(target.exists() and target.read_text() == text for target in targets)
        if fail:
            raise KeyError("stop")


def test_all_files_appear_together(tmp_path) -> None:
    targets = [tmp_path / "a.html", tmp_path / "b.csv"]
    write(targets, "new")
    assert names(tmp_path) == ["a.html", "b.csv"]
    assert [target.read_text() for target in targets] == ["new", "new"]


def test_a_failure_leaves_what_was_there(tmp_path) -> None:
    targets = [tmp_path / "a.html", tmp_path / "b.csv"]
    targets[0].write_text("old")
    with pytest.raises(KeyError):
        write(targets, "new", fail=True)
    assert names(tmp_path) == ["a.html"]
    assert targets[0].read_text() == "old"


def test_older_files_are_replaced_and_others_stay(tmp_path) -> None:
    target = tmp_path / "map.html"
    target.write_text("old")
    (tmp_path / "map.qml").write_text("the style of a map")
    write([target], "new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["map.html", "map.qml"]


def test_the_first_file_comes_back_where_the_second_cannot_take_its_name(tmp_path) -> None:
    targets = [tmp_path / "a.html", tmp_path / "b.csv"]
    targets[0].write_text("old")
    with pytest.raises(OutputError, match=r"b\.csv"), atomic_files(targets) as working:
        working[targets[0]].write_text("new")  # and b.csv is never written
    assert targets[0].read_text() == "old"
    assert names(tmp_path) == ["a.html"]


def test_parts_of_a_file_come_along(tmp_path) -> None:
    target = tmp_path / "points.shp"
    with atomic_files([target]) as working:
        for ending in (".shp", ".dbf", ".prj"):
            working[target].with_suffix(ending).write_text(ending)
    assert names(tmp_path) == ["points.dbf", "points.prj", "points.shp"]


def test_a_folder_is_never_replaced(tmp_path) -> None:
    folder = tmp_path / "a.html"
    folder.mkdir()
    (folder / "work.txt").write_text("of a year")
    with pytest.raises(OutputError, match=r"a\.html"):
        write([tmp_path / "b.csv", folder], "new")
    assert names(tmp_path) == ["a.html"]
    assert (folder / "work.txt").read_text() == "of a year"


def test_nor_is_one_of_the_name_of_a_part(tmp_path) -> None:
    target, folder = tmp_path / "points.shp", tmp_path / "points.prj"
    target.write_text("old")
    folder.mkdir()

    def write_parts() -> None:
        with atomic_files([target]) as working:
            for ending in (".shp", ".dbf", ".prj"):
                working[target].with_suffix(ending).write_text("new")

    with pytest.raises(OutputError, match=r"points\.prj"):
        write_parts()
    assert names(tmp_path) == ["points.prj", "points.shp"]
    assert target.read_text() == "old"


def test_a_full_disk_is_one_sentence(tmp_path) -> None:
    target = tmp_path / "a.html"

    def fill() -> None:
        with atomic_files([target]) as working:
            working[target].symlink_to("/dev/full")
            working[target].write_text("x" * 100_000)

    with pytest.raises(OutputError, match=r"a\.html"):
        fill()
    assert names(tmp_path) == []


def test_targets_that_cannot_work(tmp_path) -> None:
    source = tmp_path / "map.tif"
    source.write_text("map")
    cases = [
        ([tmp_path / "no" / "a.html"], "no"),
        ([tmp_path], tmp_path.name),
        ([source], r"map\.tif"),
        ([tmp_path / "a.html", tmp_path / "." / "a.html"], r"a\.html"),
    ]
    for targets, named in cases:
        with pytest.raises(OutputError, match=named):
            check_targets(targets, [str(source)])
    check_targets([tmp_path / "a.html", tmp_path / "b.html"], [str(source), "not a file"])
