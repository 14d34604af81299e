"""What can happen to a work folder between two steps of claiming or removing it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.outputs.work_folder import LOCK, WorkFolder, work_folder_of


def test_a_folder_that_another_run_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the folder and opening the lock in it."""
    output, really, calls = tmp_path / "map.tif", os.open, []

    def removed_first(path, *how, **more):
        is_lock = Path(path).name == LOCK
        calls.extend([path] * is_lock)
        if is_lock and len(calls) == 1:
            shutil.rmtree(work_folder_of(output))
        return really(path, *how, **more)

    monkeypatch.setattr(os, "open", removed_first)
    folder = WorkFolder(output)
    monkeypatch.undo()
    assert len(calls) == 2
    assert (folder.path / LOCK).exists()
    with pytest.raises(OutputError, match=r"map\.tif"):
        WorkFolder(output)
    folder.remove()


def test_a_lock_of_a_folder_that_is_gone_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the lock and having it, the run before removed the folder."""
    output, really, calls = tmp_path / "map.tif", fcntl.flock, []

    def removed_meanwhile(file, how):
        calls.append(file)
        if len(calls) == 1:
            shutil.rmtree(work_folder_of(output))
        return really(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    folder = WorkFolder(output)
    monkeypatch.undo()
    assert len(calls) == 2
    with pytest.raises(OutputError, match=r"map\.tif"):
        WorkFolder(output)
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_removed_again_and_again_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_how, **_more):
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "open", never)
    with pytest.raises(OutputError, match=r"map\.tif"):
        WorkFolder(tmp_path / "map.tif")


def test_a_file_system_without_locks_still_makes_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_file, _how):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    folder = WorkFolder(tmp_path / "map.tif")
    assert folder.held
    folder.remove()
    assert not folder.held


def test_a_folder_that_cannot_be_moved_is_emptied_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file in it is open."""
    folder = WorkFolder(tmp_path / "map.tif")
    (folder.path / "chunk").write_text("work")

    def in_use(*_where):
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "replace", in_use)
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    assert not folder.held
