"""Whole or nothing under the output's name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.raster.delivery import (
    Delivery,
    check_not_input,
    check_output,
    publish,
    side_files,
)

SIDES = ("map.tif.aux.xml", "map.qml")


def fill(delivery: Delivery, text: str = "new") -> Delivery:
    delivery.working.write_text(text)
    for name in SIDES:
        (delivery.folder / name).write_text(text)
    return delivery


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_nothing_has_the_name_until_it_is_published(tmp_path: Path) -> None:
    delivery = fill(Delivery(tmp_path / "map.tif"))
    assert not (names(tmp_path) & {"map.tif", *SIDES})
    assert delivery.working.name == "map.tif"
    assert delivery.folder.name.startswith("."), "hidden"
    delivery.publish()
    assert names(tmp_path) == {"map.tif", *SIDES}


def test_the_raster_takes_its_name_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = fill(Delivery(tmp_path / "map.tif"))
    order: list[str] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    delivery.publish()
    assert sorted(order[:-1]) == sorted(SIDES)
    assert order[-1] == "map.tif"


def test_an_old_map_goes_with_all_its_side_files(tmp_path: Path) -> None:
    output = tmp_path / "map.tif"
    for each in (output, *side_files(output), tmp_path / "other.tif"):
        each.write_text("old")
    delivery = fill(Delivery(output))
    assert output.read_text() == "old"
    delivery.publish()
    assert names(tmp_path) == {"map.tif", "other.tif", *SIDES}
    assert {(tmp_path / name).read_text() for name in ("map.tif", *SIDES)} == {"new"}
    assert "map.tif.ovr" in {each.name for each in side_files(output)}


def test_discard_leaves_no_trace_and_the_old_map(tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_text("old")
    delivery = fill(Delivery(tmp_path / "map.tif"))
    delivery.discard()
    delivery.discard()
    assert names(tmp_path) == {"map.tif"}
    assert (tmp_path / "map.tif").read_text() == "old"


def test_two_runs_with_one_output_do_not_meet(tmp_path: Path) -> None:
    first, second = Delivery(tmp_path / "map.tif"), Delivery(tmp_path / "map.tif")
    assert first.folder != second.folder
    fill(first, "1").publish()
    fill(second, "2").publish()
    assert (tmp_path / "map.tif").read_text() == "2"


def test_a_map_that_is_held_open_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file that a layer uses cannot be removed."""
    for name in ("map.tif", *SIDES):
        (tmp_path / name).write_text("old")
    delivery = fill(Delivery(tmp_path / "map.tif"))
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        if self == delivery.output:
            raise PermissionError("in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(OutputError, match="remove the layer") as caught:
        delivery.publish()
    assert caught.value.detail == "in use"
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}
    assert names(tmp_path) == {"map.tif", *SIDES}


@pytest.mark.parametrize("failing", ["map.tif", "map.tif.aux.xml"])
def test_a_move_that_fails_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    delivery = fill(Delivery(tmp_path / "map.tif"))
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if Path(target).name == failing:
            raise OSError("gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError):
        delivery.publish()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("failing", ["map.tif", "map.qml", "probabilities.tif"])
def test_a_move_that_fails_brings_the_old_maps_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """All products of a run take their names, or none does."""
    for name in ("map.tif", "probabilities.tif", *SIDES):
        (tmp_path / name).write_text("old")
    deliveries = [Delivery(tmp_path / "probabilities.tif"), fill(Delivery(tmp_path / "map.tif"))]
    deliveries[0].working.write_text("new")
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        new = self.parent.parent == tmp_path  # putting an old file back works
        if self.name == failing and new and target.parent == tmp_path:
            raise OSError("gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError, match=failing):
        publish(deliveries)
    assert names(tmp_path) == {"map.tif", "probabilities.tif", *SIDES}
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}


def test_remains_of_a_killed_run_go_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    finished = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                              capture_output=True, text=True, check=True)  # fmt: skip
    living = Delivery(tmp_path / "map.tif")
    start = living.folder.name.rsplit("-", 2)[0]
    killed = tmp_path / f"{start}-{finished.stdout.strip()}-abc"
    killed.mkdir()
    other = Delivery(tmp_path / "map.tif")
    assert not killed.exists()
    assert living.folder.exists()
    assert other.folder.exists()


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
        with pytest.raises(OutputError, match="a file of the input"):
            check_not_input(Path(spelling), [str(image)])
    with pytest.raises(OutputError, match="a file of the input"):
        check_not_input(image, [str(tmp_path / "mosaic.vrt"), str(image)])
    check_not_input(tmp_path / "map.tif", [str(image)])


def test_the_style_of_the_input_image_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ortho.jpg").write_text("image")
    with pytest.raises(OutputError, match="style"):
        check_not_input(tmp_path / "ortho.tif", [str(tmp_path / "ortho.jpg")])


@pytest.mark.parametrize("name", ["map.png", "map", "map.tif.gz", ".tif"])
def test_a_wrong_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.tif"):
        Delivery(tmp_path / name)


@pytest.mark.parametrize("name", ["map.tif", "map.TIF", "map.tiff"])
def test_right_endings(tmp_path: Path, name: str) -> None:
    check_output(tmp_path / name)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "none" / "map.tif", tmp_path / "file" / "map.tif"):
        with pytest.raises(OutputError, match="does not exist"):
            Delivery(output)
    with pytest.raises(OutputError, match="it is a folder"):
        Delivery(tmp_path / "a.tif")
    assert names(tmp_path) == {"a.tif", "file"}


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match="cannot be written"):
        Delivery(tmp_path / "map.tif")
    assert names(tmp_path) == set()


def test_a_folder_that_refuses_although_it_looks_writable() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs Linux")
    with pytest.raises(OutputError, match="cannot be written"):
        Delivery(Path("/proc/map.tif"))
