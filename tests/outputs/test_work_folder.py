"""A work folder belongs to one run at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.outputs import work_folder
from scasnet_qgis.outputs.work_folder import LOCK, WorkFolder, work_folder_of

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("output", "folder"),
    [
        ("map.tif", ".map.part-tif"),
        ("map.v2.TIFF", ".map.v2.part-TIFF"),
        ("ü x.tif", ".ü x.part-tif"),
    ],
)
def test_each_output_has_its_own(tmp_path: Path, output: str, folder: str) -> None:
    assert work_folder_of(tmp_path / output) == tmp_path / folder
    WorkFolder(tmp_path / output).remove()
    assert names(tmp_path) == set()


def test_it_is_refused_as_long_as_another_run_has_it(tmp_path: Path) -> None:
    first = WorkFolder(tmp_path / "map.tif")
    other = WorkFolder(tmp_path / "other.tif")
    for _ in range(2):
        with pytest.raises(OutputError, match=r"map\.tif"):
            WorkFolder(tmp_path / "map.tif")
    first.release()
    assert not first.held
    second = WorkFolder(tmp_path / "map.tif")
    first.remove()
    assert second.path.is_dir(), "it is not the first one's any more"
    second.remove()
    second.remove()
    other.remove()
    assert names(tmp_path) == set()


def test_what_lies_in_it_stays_when_it_is_released(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "map.tif")
    (folder.path / "work").write_text("long")
    folder.release()
    again = WorkFolder(tmp_path / "map.tif")
    assert names(again.path) == {LOCK, "work"}
    again.remove()


def test_the_lock_of_a_dead_process_is_none(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from scasnet_qgis.outputs.work_folder import WorkFolder\n"
        "folder = WorkFolder(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "map.tif")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert (tmp_path / ".map.part-tif" / LOCK).exists()
    WorkFolder(tmp_path / "map.tif").remove()


@pytest.mark.parametrize("what", ["the lock", "the folder"])
def test_a_folder_that_is_removed_while_it_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The run that had it ends just then: the lock is of a file that is gone."""
    locked, path = work_folder._locked, work_folder_of(tmp_path / "map.tif")
    removed: list[str] = []

    def late(file: int) -> bool:
        if not removed:
            removed.append(what)
            (path / LOCK).unlink()
            if what == "the folder":
                path.rmdir()
        return locked(file)

    monkeypatch.setattr(work_folder, "_locked", late)
    folder = WorkFolder(tmp_path / "map.tif")
    assert removed
    assert os.path.samestat(os.fstat(folder._lock), (path / LOCK).stat())
    with pytest.raises(OutputError):
        WorkFolder(tmp_path / "map.tif")
    folder.remove()


@pytest.mark.parametrize(("code", "refused"), [(errno.EWOULDBLOCK, True), (errno.ENOLCK, False)])
def test_a_file_system_without_locks_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, refused: bool
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def fails(_file: int, _how: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(fcntl, "flock", fails)
    if refused:
        with pytest.raises(OutputError):
            WorkFolder(tmp_path / "map.tif")
    else:
        WorkFolder(tmp_path / "map.tif").remove()


def test_a_folder_that_cannot_be_moved_is_removed_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file in it may be open."""
    folder = WorkFolder(tmp_path / "map.tif")

    def fails(_self: Path, _target: Path) -> Path:
        raise PermissionError("in use")

    monkeypatch.setattr(Path, "replace", fails)
    folder.remove()
    assert names(tmp_path) == set()
    assert not folder.held
