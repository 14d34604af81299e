"""Whole or nothing under the output's name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.outputs.atomic_output import (
    AtomicOutput,
    check_not_input,
    check_output,
    publish,
    side_files,
)

ROOT = Path(__file__).parents[2]
SIDES = ("map.tif.aux.xml", "map.qml")


def fill(atomic: AtomicOutput, text: str = "new") -> AtomicOutput:
    atomic.working.write_text(text)
    for name in SIDES:
        (atomic.folder / name).write_text(text)
    return atomic


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nothing_has_the_name_until_it_is_published(tmp_path: Path) -> None:
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    assert not (names(tmp_path) & {"map.tif", *SIDES})
    assert atomic.working.name == "map.tif"
    assert atomic.root.name.startswith("."), "hidden"
    atomic.publish()
    assert names(tmp_path) == {"map.tif", *SIDES}


def test_the_raster_takes_its_name_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    order: list[str] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        if self.parent.name == "new":
            order.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    atomic.publish()
    assert sorted(order[:-1]) == sorted(SIDES)
    assert order[-1] == "map.tif"


def test_an_old_map_goes_with_all_its_side_files(tmp_path: Path) -> None:
    output = tmp_path / "map.tif"
    for path in (output, *side_files(output), tmp_path / "other.tif"):
        path.write_text("old")
    atomic = fill(AtomicOutput(output))
    assert output.read_text() == "old"
    atomic.publish()
    assert names(tmp_path) == {"map.tif", "other.tif", *SIDES}
    assert {(tmp_path / name).read_text() for name in ("map.tif", *SIDES)} == {"new"}
    assert "map.tif.ovr" in {side.name for side in side_files(output)}


def test_discard_leaves_no_trace_and_the_old_map(tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_text("old")
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    atomic.discard()
    atomic.discard()
    assert names(tmp_path) == {"map.tif"}
    assert (tmp_path / "map.tif").read_text() == "old"


def test_the_second_of_two_runs_with_one_output_is_refused(tmp_path: Path) -> None:
    first = fill(AtomicOutput(tmp_path / "map.tif"), "1")
    with pytest.raises(OutputError, match=r"map\.tif"):
        AtomicOutput(tmp_path / "map.tif")
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match=r"map\.tif"):
        AtomicOutput(tmp_path / "a" / ".." / "map.tif")
    other = fill(AtomicOutput(tmp_path / "map.tiff"), "other")
    first.publish()
    assert (tmp_path / "map.tif").read_text() == "1"
    fill(AtomicOutput(tmp_path / "map.tif"), "2").publish()
    assert (tmp_path / "map.tif").read_text() == "2"
    other.discard()


@pytest.mark.fault(
    "another program holds the older map (Windows)", "one sentence; the older map stays as it was"
)
def test_a_map_that_is_held_open_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file that a layer uses cannot be removed."""
    for name in ("map.tif", *SIDES):
        (tmp_path / name).write_text("old")
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        if self == atomic.path:
            raise PermissionError("in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(OutputError, match=r"map\.tif") as caught:
        atomic.publish()
    atomic.discard()
    assert caught.value.detail == "in use"
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}
    assert names(tmp_path) == {"map.tif", *SIDES}


@pytest.mark.parametrize("failing", ["map.tif", "map.tif.aux.xml"])
def test_a_move_that_fails_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if Path(target).name == failing:
            raise OSError("gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError):
        atomic.publish()
    assert names(tmp_path) == {atomic.root.name}, "the caller may want to keep some of it"
    atomic.discard()
    assert names(tmp_path) == set()


@pytest.mark.fault(
    "a file cannot get its name as a run with probabilities is published",
    "one sentence; all older files are back as they were",
)
@pytest.mark.parametrize("failing", ["map.tif", "map.qml", "probabilities.tif"])
def test_a_move_that_fails_brings_the_old_maps_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """All products of a run take their names, or none does."""
    for name in ("map.tif", "probabilities.tif", *SIDES):
        (tmp_path / name).write_text("old")
    outputs = [
        AtomicOutput(tmp_path / "probabilities.tif"),
        fill(AtomicOutput(tmp_path / "map.tif")),
    ]
    outputs[0].working.write_text("new")
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        new = self.parent.name == "new"  # putting an old file back works
        if self.name == failing and new and target.parent == tmp_path:
            raise OSError("gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError, match=failing):
        publish(outputs)
    for atomic in outputs:
        atomic.discard()
    assert names(tmp_path) == {"map.tif", "probabilities.tif", *SIDES}
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}


KILLED = """
import os, sys
from pathlib import Path
from scasnet_qgis.outputs.atomic_output import AtomicOutput, publish
atomic = AtomicOutput(Path(sys.argv[1]))
atomic.working.write_text("new")
(atomic.folder / "map.qml").write_text("new")
(atomic.root / "journal").mkdir()
at, replace, moves = int(sys.argv[2]), Path.replace, []
def counted(self, target):
    if len(moves) == at:
        os._exit(9)
    moves.append(target)
    return replace(self, target)
Path.replace = counted
if at >= 0:
    publish([atomic])
os._exit(9)
"""


def kill(output: Path, at: int) -> None:
    """A process that is gone before move ``at`` of its publishing, or before all (-1)."""
    command = [sys.executable, "-c", KILLED, str(output), str(at)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr


def test_what_a_killed_run_left_is_there_for_the_next_one(tmp_path: Path) -> None:
    """But for its unfinished files."""
    kill(tmp_path / "map.tif", -1)
    atomic = AtomicOutput(tmp_path / "map.tif")
    assert (atomic.root / "journal").is_dir()
    assert not list(atomic.folder.iterdir())
    atomic.leave()
    again = AtomicOutput(tmp_path / "map.tif")
    assert (again.root / "journal").is_dir()
    again.discard()
    assert names(tmp_path) == set()


@pytest.mark.fault(
    "a run is killed between any two names that its files take",
    "the map under its name is whole at all times; the next run mends the rest",
)
@pytest.mark.parametrize("old", [(), ("map.tif",), ("map.tif", "map.qml", "map.tif.aux.xml")])
@pytest.mark.parametrize("at", range(6))
def test_a_run_that_is_killed_while_files_take_their_names(
    tmp_path: Path, at: int, old: tuple[str, ...]
) -> None:
    """The map under its name is whole and the newest at all times; the next run mends the rest."""
    for name in old:
        (tmp_path / name).write_text("old")
    kill(tmp_path / "map.tif", at)
    shown = tmp_path / "map.tif"
    complete = shown.exists() and shown.read_text() == "new"
    assert not complete or (tmp_path / "map.qml").read_text() == "new"
    AtomicOutput(shown).discard()
    expected = {"map.tif": "new", "map.qml": "new"} if complete else dict.fromkeys(old, "old")
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == expected


def test_what_was_being_removed_is_removed_by_the_next_run(tmp_path: Path) -> None:
    gone = AtomicOutput(tmp_path / "map.tif")
    gone.leave()
    gone.root.rename(gone.root.with_name(f"{gone.root.name}-gone-12345678"))
    (tmp_path / ".other.part-tif-gone-12345678").mkdir()
    AtomicOutput(tmp_path / "map.tif").discard()
    assert names(tmp_path) == {".other.part-tif-gone-12345678"}


def test_an_old_map_that_cannot_come_back_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "map.tif").write_text("old")
    atomic = fill(AtomicOutput(tmp_path / "map.tif"))
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target.parent == tmp_path:
            raise OSError("gone")
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(OutputError):
            atomic.publish()
        atomic.discard()
    assert not (tmp_path / "map.tif").exists()
    AtomicOutput(tmp_path / "map.tif").discard()
    assert names(tmp_path) == {"map.tif"}
    assert (tmp_path / "map.tif").read_text() == "old"


def test_no_spelling_of_the_input_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image.tif"
    image.write_text("precious")
    (tmp_path / "link.tif").symlink_to(image)
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    spellings = ["image.tif", "a/../image.tif", "link.tif", str(image), f"{tmp_path}//image.tif"]
    for spelling in spellings:
        with pytest.raises(OutputError):
            check_not_input(Path(spelling), [str(image)])
    with pytest.raises(OutputError, match=r"image\.tif"):
        check_not_input(image, [str(tmp_path / "mosaic.vrt"), str(image)])
    check_not_input(tmp_path / "map.tif", [str(image)])


def test_the_style_of_the_input_image_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ortho.jpg").write_text("image")
    with pytest.raises(OutputError, match=r"ortho\.tif"):
        check_not_input(tmp_path / "ortho.tif", [str(tmp_path / "ortho.jpg")])


@pytest.mark.parametrize("name", ["map.png", "map", "map.tif.gz", ".tif"])
def test_a_wrong_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        AtomicOutput(tmp_path / name)


@pytest.mark.parametrize("name", ["map.tif", "map.TIF", "map.tiff"])
def test_right_endings(tmp_path: Path, name: str) -> None:
    check_output(tmp_path / name)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "none" / "map.tif", tmp_path / "file" / "map.tif"):
        with pytest.raises(OutputError):
            AtomicOutput(output)
    with pytest.raises(OutputError, match=r"a\.tif"):
        AtomicOutput(tmp_path / "a.tif")
    assert names(tmp_path) == {"a.tif", "file"}


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match=r"map\.tif"):
        AtomicOutput(tmp_path / "map.tif")
    assert names(tmp_path) == set()


def test_a_folder_that_refuses_although_it_looks_writable() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs Linux")
    with pytest.raises(OutputError, match=r"map\.tif"):
        AtomicOutput(Path("/proc/map.tif"))
