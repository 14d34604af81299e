"""Runs side by side: in one folder, on one image, and with names that meet."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from scasnet_qgis.common.errors import InputError, OutputError
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from tests.conftest import Recorder
from tests.map_settings import changed
from tests.mapping.interrupting import fresh, mapped, request_in

pytestmark = pytest.mark.slow


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., MapSettings]:
    return partial(request_in, tmp_path)


class Beside(Recorder):
    """Starts something else in the middle of a run."""

    def __init__(self, other: Callable[[], object]) -> None:
        super().__init__()
        self._other: Callable[[], object] | None = other

    def report(self, fraction: float) -> None:
        if self._other and fraction > 0.4:
            self._other, other = None, self._other
            other()


def refused(request: MapSettings) -> None:
    with pytest.raises(OutputError):
        mapped(request)


@pytest.mark.fault(
    "two runs on one image into one folder, one within the other", "two maps, each as if alone"
)
def test_side_by_side(request_of, tmp_path) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    other = changed(request, output=tmp_path / "out" / "other.tif")
    mapped(request, Beside(lambda: mapped(other)))
    assert request.output.map.read_bytes() == other.output.map.read_bytes() == expected


@pytest.mark.fault(
    "the second run names the first one's OUTPUT otherwise: relative, by .., by a linked folder",
    "it is refused as long as the first lasts, and the first is whole",
)
@pytest.mark.parametrize("spelling", ["relative", "up and down", "linked folder"])
def test_another_spelling(request_of, tmp_path, monkeypatch, spelling) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    if spelling == "relative":
        monkeypatch.chdir(tmp_path)
        same = Path("out/map.tif")
    elif spelling == "up and down":
        (tmp_path / "out" / "inner").mkdir()
        same = tmp_path / "out" / "inner" / ".." / "map.tif"
    else:
        (tmp_path / "link").symlink_to(tmp_path / "out", target_is_directory=True)
        same = tmp_path / "link" / "map.tif"
    mapped(request, Beside(lambda: refused(changed(request, output=same))))
    assert request.output.map.read_bytes() == expected


@pytest.mark.fault(
    "OUTPUT is a link to the OUTPUT of another run",
    "two runs, two maps: the link is replaced by a map of its own, what it pointed to stays",
)
def test_a_link_to_a_map(request_of, tmp_path) -> None:
    request = request_of()
    expected = fresh(request, tmp_path / "fresh")
    mapped(request)
    link = tmp_path / "out" / "link.tif"
    link.symlink_to(request.output.map)
    mapped(request, Beside(lambda: mapped(changed(request, output=link, min_confidence=0.3))))
    assert not link.is_symlink()
    assert request.output.map.read_bytes() == expected
    assert link.read_bytes() != expected


@pytest.mark.fault(
    "the second run names the first one's OUTPUT in capitals, on a disk that does not tell them",
    "it is refused as long as the first lasts",
)
def test_capitals(tmp_path) -> None:
    image, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(16_000_000)
        subprocess.run(
            ["mkfs.ext4", "-q", "-O", "casefold", "-E", "encoding=utf8", str(image)],
            check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(["mount", "-o", "loop", str(image), str(folder)],
                       check=True, capture_output=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("such a disk cannot be made or mounted here")
    try:
        place = folder / "maps"
        place.mkdir()
        subprocess.run(["chattr", "+F", str(place)], check=True)
        first = AtomicOutput(place / "map.tif")
        with pytest.raises(OutputError, match=r"map\.tif"):
            AtomicOutput(place / "MAP.TIF")
        first.discard()
        AtomicOutput(place / "MAP.TIF").discard()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fault(
    "the OUTPUT of one run is the PROBABILITIES of another, and the other way round",
    "the second is refused, and leaves nothing; the first is whole",
)
@pytest.mark.parametrize("first_has", ["map", "probabilities"])
def test_an_output_that_is_anothers_probabilities(request_of, tmp_path, first_has) -> None:
    shared = tmp_path / "out" / "shared.tif"
    with_scores = request_of(probabilities=shared)
    plain = changed(request_of(), output=shared)
    first, second = (plain, with_scores) if first_has == "map" else (with_scores, plain)
    expected = fresh(first, tmp_path / "fresh")
    mapped(first, Beside(lambda: refused(second)))
    assert first.output.map.read_bytes() == expected
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.fault(
    "the OUTPUT of a run is the INPUT of another one that is reading it",
    "the map takes its name, whole; the run that reads stops with one sentence, as its image is "
    "another one now",
)
def test_an_output_that_is_anothers_input(request_of, tmp_path) -> None:
    reading = request_of()
    image = Path(reading.image.source)
    writing = changed(request_of(), source=str(tmp_path / "copy.tif"), output=image)
    (tmp_path / "copy.tif").write_bytes(image.read_bytes())
    expected = fresh(writing, tmp_path / "fresh")
    with pytest.raises(InputError, match=r"image\.tif"):
        mapped(reading, Beside(lambda: mapped(writing)))
    assert image.read_bytes() == expected
    assert not reading.output.map.exists()


@pytest.mark.fault(
    "OUTPUT is the image itself, a file of it, or has the image's name", "one sentence at the start"
)
@pytest.mark.parametrize("name", ["image.tif", "image.tiff"])
def test_an_output_that_is_the_input(request_of, tmp_path, name) -> None:
    request = request_of()
    before = Path(request.image.source).read_bytes()
    with pytest.raises(OutputError):
        mapped(changed(request, output=tmp_path / name))
    assert Path(request.image.source).read_bytes() == before
