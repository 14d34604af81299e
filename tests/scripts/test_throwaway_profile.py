from __future__ import annotations

from pathlib import Path

import pytest
from qgis.PyQt.QtCore import QSettings
from throwaway_profile import build_environment, throwaway_profile, write_settings


@pytest.mark.parametrize(
    "value",
    ["/plain/path", "/with space, comma", 'a\\b"c', "/é/日本a1é", "😀x", "a;b=c#d", "", "éabc"],
)
def test_qt_reads_settings_as_they_were_meant(tmp_path: Path, value: str) -> None:
    write_settings(tmp_path, {"Processing": {"Configuration/FOLDER": value}})
    written = tmp_path / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings = QSettings(str(written), QSettings.Format.IniFormat)
    assert settings.value("Processing/Configuration/FOLDER") == value


def test_a_profile_is_gone_after_use(tmp_path: Path) -> None:
    with throwaway_profile(tmp_path) as environment:
        profile = Path(environment["QGIS_CUSTOM_CONFIG_PATH"])
        assert (profile / "profiles").is_dir()
    assert not profile.exists()


def test_a_venv_that_is_switched_on_does_not_reach_qgis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/some/venv/bin:/usr/bin")
    monkeypatch.setenv("VIRTUAL_ENV", "/some/venv")
    environment = build_environment(tmp_path, tmp_path)
    assert environment["PATH"].startswith("/usr/bin:")
    assert "VIRTUAL_ENV" not in environment
