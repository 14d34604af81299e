from __future__ import annotations

import zipfile
from pathlib import Path

import package
import pytest
import site_rules
import stage


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that staging takes for its own."""
    for name in ("scasnet_qgis/__init__.py", "resources/icon.svg", "metadata.txt", "LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "scasnet_qgis" / "__pycache__").mkdir()
    (tmp_path / "scasnet_qgis" / "__pycache__" / "a.pyc").touch()
    (tmp_path / "scasnet_qgis" / ".hidden").touch()
    (tmp_path / "resources" / "image.tif.aux.xml").touch()
    staged = tmp_path / "build" / "stage"
    monkeypatch.setattr(stage, "ROOT", tmp_path)
    monkeypatch.setattr(stage, "STAGE", staged)
    monkeypatch.setattr(stage, "STAGED_PACKAGE", staged / stage.PACKAGE)
    return tmp_path


def list_staged(checkout: Path) -> list[str]:
    folder = checkout / "build" / "stage" / stage.PACKAGE
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_stage_holds_what_is_shipped_and_nothing_else(checkout: Path) -> None:
    stage.stage()
    assert list_staged(checkout) == ["LICENSE", "__init__.py", "metadata.txt", "resources/icon.svg"]


def test_a_second_call_copies_only_what_changed(checkout: Path) -> None:
    staged = stage.stage() / stage.PACKAGE
    untouched = (staged / "LICENSE").stat().st_ino
    (checkout / "metadata.txt").write_text("changed")
    stage.stage()
    assert (staged / "LICENSE").stat().st_ino == untouched
    assert (staged / "metadata.txt").read_text() == "changed"


def test_what_left_the_checkout_leaves_the_stage(checkout: Path) -> None:
    module = checkout / "scasnet_qgis" / "old"
    module.mkdir()
    (module / "__init__.py").touch()
    staged = stage.stage() / stage.PACKAGE
    (staged / "old" / "__pycache__").mkdir()
    (staged / "old" / "__pycache__" / "a.pyc").touch()
    (module / "__init__.py").unlink()
    stage.stage()
    assert not (staged / "old").exists()


def test_a_checkout_without_the_package_is_named(checkout: Path) -> None:
    (checkout / "scasnet_qgis" / "__init__.py").unlink()
    with pytest.raises(FileNotFoundError, match="whole checkout"):
        stage.stage()


def test_the_zip_file_is_the_same_for_the_same_files(checkout: Path, tmp_path: Path) -> None:
    staged = stage.stage() / stage.PACKAGE
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    package.write_zip(staged, first)
    (staged / "LICENSE").touch()
    package.write_zip(staged, second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist()[0] == "scasnet_qgis/LICENSE"


def test_this_projects_own_metadata_keeps_the_sites_rules() -> None:
    text = (Path(__file__).parents[2] / "metadata.txt").read_text("utf-8")
    assert site_rules.find_metadata_faults(text) == []
