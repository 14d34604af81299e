"""Disks that are full or fail, folders that are gone, memory that is used up, clocks that jump."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import OutputError, ScasNetError
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.outputs import geotiff as writer
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.provenance.stamp import read_record
from scasnet_qgis.outputs.work_folder import work_folder_of
from tests.map_settings import changed
from tests.mapping.interrupting import Interrupted, fresh, interrupted, left, mapped, request_in
from tests.mapping.test_file_faults import Meddling

pytestmark = pytest.mark.slow

MAP = ["map.tif", "map.tif.aux.xml", "map.tif.scasnet"]
SCORES = ["scores.tif", "scores.tif.scasnet"]


@pytest.fixture(autouse=True)
def all_work_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., MapSettings]:
    return partial(request_in, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A real file system of so many kB; asked again, the same one with another size."""
    folder = tmp_path / "out"
    folder.mkdir()
    mounted = False

    def sized(kilobytes: int) -> Path:
        nonlocal mounted
        how = f"{'remount,' if mounted else ''}size={kilobytes}k"
        try:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)], capture_output=True
            )
        except OSError:
            pytest.skip("there is no mount")
        if done.returncode:
            pytest.skip("mounting is not permitted here")
        mounted = True
        return folder

    yield sized
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.fault(
    "a real disk is full, at seven moments from the first block to the description",
    "one sentence; nothing under the names; with room again the same command gives the same bytes",
)
@pytest.mark.parametrize(
    "share",
    [
        0.1,
        0.85,
        *(pytest.param(share, marks=pytest.mark.long) for share in (0.02, 0.3, 0.5, 0.7, 0.95)),
    ],
)
def test_a_full_disk(request_of, small_disk, tmp_path, share) -> None:
    small_disk(64_000)
    request = request_of(probabilities=tmp_path / "out" / "scores.tif", sieve=9.0)
    expected = fresh(request, tmp_path / "fresh")
    full = max(_needed(request, tmp_path), 64)
    small_disk(max(int(full * share) // 4 * 4, 16))
    with pytest.raises(OutputError) as caught:
        mapped(request)
    assert caught.value.sentence
    assert not set(left(request)) & {*MAP, *SCORES}
    small_disk(64_000)
    mapped(request)
    assert request.output.map.read_bytes() == expected
    assert (
        request.output.probabilities.read_bytes()
        == (tmp_path / "fresh" / "scores.tif").read_bytes()
    )
    assert left(request) == [*MAP, *SCORES]


def _needed(request: MapSettings, tmp_path: Path) -> int:
    """The most kB that a run takes on its disk."""
    most = 0

    class Measuring(Interrupted):
        def report(self, fraction: float) -> None:
            nonlocal most
            found = os.statvfs(request.output.map.parent)
            most = max(most, (found.f_blocks - found.f_bfree) * found.f_frsize // 1024)

    mapped(request, Measuring(2.0))
    for path in request.output.map.parent.iterdir():
        path.unlink()
    return most


SEAMS = {
    "as a kept row goes to the disk": ("os", "fsync", 4),
    "as a file goes to the disk": ("scasnet_qgis.outputs.atomic_output", "fsync_file", 1),
    "as a later file goes to the disk": ("scasnet_qgis.outputs.atomic_output", "fsync_file", 3),
    "as a folder goes to the disk": ("scasnet_qgis.outputs.atomic_output", "fsync_folder", 1),
    "as the last folder goes to the disk": (
        "scasnet_qgis.outputs.atomic_output",
        "fsync_folder",
        5,
    ),
    "as a name changes": ("scasnet_qgis.outputs.atomic_output", "_move", 2),
    "as the map gets its name": ("scasnet_qgis.outputs.atomic_output", "_move", 6),
}


@pytest.mark.fault(
    "the disk answers with a fault (EIO), is full (ENOSPC) or read-only (EROFS): as rows are kept, "
    "as files go to the disk, as names change",
    "one sentence that blames no other program; the older map stays; the same command goes on",
)
@pytest.mark.parametrize(
    "number",
    [
        errno.EIO,
        *(pytest.param(code, marks=pytest.mark.long) for code in (errno.ENOSPC, errno.EROFS)),
    ],
    ids=errno.errorcode.get,
)
@pytest.mark.parametrize("seam", SEAMS)
def test_a_disk_that_fails(request_of, tmp_path, monkeypatch, seam, number) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    old = changed(request, min_confidence=0.3)
    mapped(old)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in MAP}
    module, name, at = SEAMS[seam]
    calls = []
    with monkeypatch.context() as patched:
        original = _attribute(module, name)

        def failing(*arguments, **named):
            calls.append(None)
            if len(calls) == at:
                raise OSError(number, os.strerror(number))
            return original(*arguments, **named)

        patched.setattr(f"{module}.{name}", failing)
        with pytest.raises(OutputError) as caught:
            mapped(request)
    assert os.strerror(number) in caught.value.detail
    assert {name: (tmp_path / "out" / name).read_bytes() for name in MAP} == before
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == expected
    assert left(request) == MAP


def _attribute(module: str, name: str):
    import importlib

    return getattr(importlib.import_module(module), name)


@pytest.mark.fault(
    "GDAL fails to write a block of the map", "one sentence; no map; the same command goes on"
)
def test_a_write_that_fails(request_of, tmp_path, monkeypatch) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    write = gdal.Band.WriteArray
    calls = []

    def failing(band, *arguments, **named):
        calls.append(None)
        if len(calls) == 2:
            raise RuntimeError("Input/output error")
        return write(band, *arguments, **named)

    monkeypatch.setattr(writer, "BLOCK", 64)
    with monkeypatch.context() as patched:
        patched.setattr(gdal.Band, "WriteArray", failing)
        with pytest.raises(OutputError, match=r"map\.tif"):
            mapped(request)
    assert not set(left(request)) & set(MAP)
    monkeypatch.undo()
    mapped(request)
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the folder of the output is removed while the map is made", "one sentence; nothing else"
)
def test_an_output_folder_that_is_removed(request_of) -> None:
    request = request_of()
    with pytest.raises(OutputError) as caught:
        mapped(request, Meddling(lambda: shutil.rmtree(request.output.map.parent)))
    assert caught.value.sentence
    assert not request.output.map.parent.exists()


@pytest.mark.fault(
    "the user deletes the hidden work folder while the map is made",
    "one sentence that says so; nothing is left; the same command makes the map",
)
@pytest.mark.parametrize("share", [0.3, 0.98])
def test_a_work_folder_that_is_removed(request_of, tmp_path, share) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    folder = work_folder_of(request.output.map)
    with pytest.raises(OutputError, match=r"\.map\.part-tif"):
        mapped(request, Meddling(lambda: shutil.rmtree(folder), share))
    assert left(request) == []
    mapped(request)
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the user deletes the work folder of a run and starts a second run with the same output",
    "the first run ends with one sentence and touches nothing of the second, which is whole",
)
def test_a_work_folder_that_is_another_runs_now(request_of, tmp_path) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    folder = work_folder_of(request.output.map)
    second: list[AtomicOutput] = []

    def meddle() -> None:
        shutil.rmtree(folder)
        second.append(AtomicOutput(request.output.map))
        (second[0].root / "journal").mkdir()
        second[0].working.write_text("the second")

    with pytest.raises(OutputError, match=r"\.map\.part-tif"):
        mapped(request, Meddling(meddle))
    assert second[0].working.read_text() == "the second"
    assert not list((second[0].root / "journal").iterdir())
    second[0].discard()
    mapped(request)
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the folder of the output becomes read-only while the map is made (as an ordinary user)",
    "one sentence; the older map stays; with rights again the same command goes on",
)
def test_a_folder_that_becomes_read_only(monkeypatch) -> None:
    if not hasattr(os, "seteuid"):
        pytest.skip("there are no such rights here")
    was = os.geteuid()
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o755)
        request = request_in(folder)
        expected = fresh(request, folder / "fresh")
        request.output.map.parent.chmod(0o777)
        if was == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError) as caught:
                mapped(request, Meddling(lambda: _forbid(request.output.map.parent, was), 0.9))
        finally:
            os.seteuid(was)
            request.output.map.parent.chmod(0o777)
        assert request.output.map.name in caught.value.sentence
        assert not request.output.map.exists()
        mapped(request)
        assert request.output.map.read_bytes() == expected


def _forbid(folder: Path, owner: int) -> None:
    user = os.geteuid()
    os.seteuid(owner)
    folder.chmod(0o555)
    os.seteuid(user)


@pytest.mark.fault(
    "the memory is used up while a tile is read",
    "the run ends; nothing under the name; the same command goes on",
)
def test_memory_that_is_used_up(request_of, tmp_path, monkeypatch) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    read, calls = RasterReader.read, []

    def failing(reader, window):
        calls.append(None)
        if len(calls) == 12:
            raise MemoryError
        return read(reader, window)

    with monkeypatch.context() as patched:
        patched.setattr(RasterReader, "read", failing)
        with pytest.raises((MemoryError, ScasNetError)):
            mapped(request)
    assert not set(left(request)) & set(MAP)
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the clock is put back by a year, while a map is made and between two runs",
    "the map is the same, the run goes on, and the description's end is not before its start",
)
def test_a_clock_that_jumps(request_of, tmp_path, monkeypatch) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    now = time.time
    interrupted(request, 0.5)
    monkeypatch.setattr(time, "time", lambda: now() - 365 * 86400)
    progress = Meddling(lambda: monkeypatch.setattr(time, "time", lambda: now() - 730 * 86400), 0.8)
    mapped(request, progress)
    assert request.output.map.read_bytes() == expected
    record = read_record(request.output.map)
    assert (record.number("kept_of_an_interrupted_run") or 0) > 0
    assert record.text("started") <= record.text("ended")
