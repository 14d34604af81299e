"""What an interrupted run kept is used only where it is whole and of the same map."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError, OutputError, SettingError
from scasnet_qgis.common.messages import Message
from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.session import ModelLoader
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.journal import NAME, Journal
from scasnet_qgis.outputs.work_folder import work_folder_of
from scasnet_qgis.tiling.augmentation import Augmentation
from tests.conftest import Recorder
from tests.map_settings import changed
from tests.mapping.interrupting import fresh, interrupted, left, mapped, request_in
from tests.models import tiny_models
from tests.outputs.test_geotiff import room_for

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("all_work_is_worth_keeping")]


@pytest.fixture
def all_work_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., MapSettings]:
    return partial(request_in, tmp_path)


def damaged(folder: Path, how: str) -> None:
    """Harm what an interrupted run kept."""
    journal = Journal(folder)
    chunk = folder / journal.chunks[1].name
    if how == "torn":
        content = (folder / NAME).read_bytes()
        (folder / NAME).write_bytes(content[:-7])
    elif how == "flipped":
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 4
        chunk.write_bytes(content)
    elif how == "short":
        chunk.write_bytes(chunk.read_bytes()[:-1])
    elif how == "missing":
        chunk.unlink()
    elif how == "no journal":
        (folder / NAME).unlink()
    elif how == "a folder":
        chunk.unlink()
        chunk.mkdir()


@pytest.mark.fault(
    "what an interrupted run kept is damaged: a torn line in the journal, a flipped bit, "
    "a short, a missing or a foreign file",
    "what is damaged, and what follows it, is computed again; the bytes are the same",
)
@pytest.mark.parametrize("how", ["torn", "flipped", "short", "missing", "no journal", "a folder"])
def test_what_is_damaged_is_computed_again(request_of, tmp_path, how) -> None:
    request = request_of()
    interrupted(request, 0.8)
    folder = work_folder_of(request.output.map) / "journal"
    assert len(Journal(folder).chunks) >= 3
    damaged(folder, how)
    progress, _ = mapped(request)
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    assert bool(progress.kept) is (how != "no journal")
    assert left(request) == ["map.tif", "map.tif.aux.xml", "map.tif.scasnet"]


def test_an_interruption_after_damage_keeps_what_was_whole(request_of, tmp_path) -> None:
    request = request_of()
    interrupted(request, 0.8)
    folder = work_folder_of(request.output.map) / "journal"
    damaged(folder, "flipped")
    interrupted(request, 0.1)
    assert len(Journal(folder).chunks) == 1
    assert len(list(folder.iterdir())) == 2
    mapped(request)
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")


CHANGES = {
    "sieve": ({"sieve": 9.0}, "the minimum mapping unit"),
    "confidence": ({"min_confidence": 0.4}, "the minimum confidence"),
    "bands": ({"bands": (3, 2, 1)}, "the bands differ"),
    "tile": ({"tile_size": 80}, "the tile size"),
    "overlap": ({"overlap": 8}, "the overlap differs"),
    "flips": ({"augmentation": Augmentation((1.0,), "mirror")}, "the flips"),
    "probabilities": ({"probabilities": "scores.tif"}, "probabilities are wanted now"),
}


@pytest.mark.fault(
    "an interrupted run is taken up with other settings",
    "the log says which setting differs, and the map is made from the beginning",
)
@pytest.mark.parametrize("what", CHANGES)
def test_with_other_settings_the_map_is_begun_anew(request_of, tmp_path, what) -> None:
    interrupted(request_of())
    settings, reason = CHANGES[what]
    if "probabilities" in settings:
        settings = {"probabilities": tmp_path / "out" / "scores.tif"}
    request = request_of(**settings)
    progress, _ = mapped(request)
    assert not progress.kept
    assert sum(reason in line for line in progress.infos) == 1
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")


@pytest.mark.fault(
    "an interrupted run is taken up with a changed image, another model or another device",
    "the log says what differs, and the map is made from the beginning",
)
@pytest.mark.parametrize("what", ["content", "time", "model", "path", "provider"])
def test_with_another_image_or_model_the_map_is_begun_anew(
    request_of, tmp_path, monkeypatch, what
) -> None:
    request = request_of()
    interrupted(request)
    image, reason = tmp_path / "image.tif", "the image differs"
    if what == "content":
        status = image.stat()
        content = bytearray(image.read_bytes())
        content[-50] ^= 1
        image.write_bytes(content)
        os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif what == "time":
        os.utime(image, ns=(1, 1))
    elif what == "path":
        request = changed(request, source=str(shutil.copy2(image, tmp_path / "copy.tif")))
    elif what == "model":
        reason = "the model differs"
        model = tiny_models.pixelwise(tmp_path / "other.onnx", classes=5, activation=None)
        request = changed(request, model=inspect(model))
    else:
        reason = "the device or"
        monkeypatch.setattr(ModelLoader, "_wants_eight_bit", lambda *_: True)
    progress, _ = mapped(request)
    assert not progress.kept
    assert sum(reason in line for line in progress.infos) == 1
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")


def test_statistics_that_qgis_writes_beside_the_image_do_not_matter(request_of, tmp_path) -> None:
    request = request_of()
    interrupted(request)
    dataset = gdal.Open(str(tmp_path / "image.tif"))
    dataset.GetRasterBand(1).ComputeStatistics(False)
    dataset = None
    assert (tmp_path / "image.tif.aux.xml").exists()
    assert mapped(request)[0].kept


def test_the_tiles_are_those_of_the_first_start(request_of, monkeypatch) -> None:
    """However many threads there are now, and however much memory is free."""
    request = request_of(tile_size=None, overlap=None)
    monkeypatch.setattr(mapping_plan, "tile_limit", lambda *_: 64)
    interrupted(request)
    monkeypatch.setattr(mapping_plan, "tile_limit", lambda *_: 128)
    progress, result = mapped(changed(request, threads=2))
    assert progress.kept
    assert result.plan.vertical.size <= 64


def test_without_resuming_the_map_is_begun_anew(request_of, tmp_path) -> None:
    request = request_of()
    interrupted(request)
    progress, _ = mapped(changed(request, resume=False))
    assert not progress.kept
    assert progress.infos
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")


def test_a_command_that_cannot_work_does_not_cost_the_work(request_of) -> None:
    request = request_of()
    interrupted(request)
    for wrong in ({"source": "/nowhere.tif"}, {"bands": (1, 2, 9)}):
        with pytest.raises((InputError, SettingError)):
            mapped(changed(request, **wrong))
    assert mapped(request)[0].kept


@pytest.mark.fault(
    "no file can grow any more in the middle of a run with probabilities",
    "one sentence; the same command goes on and gives the same bytes",
)
def test_an_error_keeps_the_work_and_a_full_disk_is_one(request_of, tmp_path) -> None:
    request = request_of(probabilities=tmp_path / "out" / "scores.tif")
    with pytest.raises(OutputError, match=r"scores\.tif"), room_for(600_000):
        mapped(request)
    assert left(request) == [work_folder_of(request.output.map).name]
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    assert (
        request.output.probabilities.read_bytes()
        == (tmp_path / "fresh" / "scores.tif").read_bytes()
    )


def test_a_damaged_image_is_mended_and_the_map_goes_on_if_it_is_the_same(request_of, tmp_path):
    """Here only the time is put back; a mended image has another content, and begins anew."""
    request = request_of()
    image = tmp_path / "image.tif"
    status, content = image.stat(), image.read_bytes()

    class Breaking(Recorder):
        def report(self, fraction: float) -> None:
            if fraction > 0.4:
                image.write_bytes(b"")

    with suppress(InputError):
        mapped(request, Breaking())
    image.write_bytes(content)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    mapped(request)
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")


@pytest.mark.fault(
    "a second run with the same output in the same process",
    "refused as long as the first lasts",
    group="Two runs at once",
)
def test_two_runs_at_once(request_of, tmp_path) -> None:
    """The same output is refused while the first lasts, another one beside it is not."""
    request = request_of()
    refused: list[str] = []

    class Second(Recorder):
        def report(self, fraction: float) -> None:
            if not refused:
                with pytest.raises(OutputError) as caught:
                    mapped(changed(request, tile_size=80))
                refused.append(caught.value.sentence)
                mapped(changed(request, output=tmp_path / "out" / "other.tif"))

        def info(self, text: str | Message) -> None:
            pass

    mapped(request, Second())
    assert len(refused) == 1
    assert str(request.output.map) in refused[0]
    assert request.output.map.read_bytes() == (tmp_path / "out" / "other.tif").read_bytes()


@pytest.mark.fault(
    "a second process with the same output; the first is killed",
    "refused as long as the first lasts, and no longer",
    group="Two runs at once",
)
def test_two_processes_at_once(request_of) -> None:
    request = request_of()
    code = (
        "import sys; from pathlib import Path\n"
        "from scasnet_qgis.outputs.atomic_output import AtomicOutput\n"
        "AtomicOutput(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(request.output.map)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(OutputError, match=r"map\.tif"):
            mapped(request)
        other.kill()
        other.wait()
        mapped(request)
    assert request.output.map.exists()
