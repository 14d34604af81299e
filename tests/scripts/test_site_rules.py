from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from site_rules import find_faults, find_metadata_faults, find_name_faults

METADATA = """[general]
name=A
description=A
about=A
version=1.0
qgisMinimumVersion=3.22
author=A
email=a@example.org
homepage=https://example.org
tracker=https://example.org
repository=https://example.org
"""
NAMES = ["plugin/__init__.py", "plugin/metadata.txt", "plugin/LICENSE"]


def test_a_whole_plugin_has_no_faults(tmp_path: Path) -> None:
    target = tmp_path / "plugin.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name in NAMES:
            archive.writestr(name, METADATA if name.endswith("metadata.txt") else "")
    assert find_faults(target) == []


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([*NAMES, "other/a.py"], "in one folder"),
        (["my-plugin/__init__.py"], "in one folder"),
        (NAMES[:2], "LICENSE is missing"),
        ([*NAMES, "plugin/__pycache__/a.txt"], "is a compiled file"),
        ([*NAMES, "plugin/a.pyc"], "is a compiled file"),
        ([*NAMES, "plugin/.git/config"], "is hidden"),
        ([*NAMES, "plugin/../a.py"], "leads out of the folder"),
        ([], "in one folder"),
    ],
)
def test_names_the_site_refuses(names: list[str], fault: str) -> None:
    assert any(fault in found for found in find_name_faults(names))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("about=A\n", "", "has no about"),
        ("about=A", "about=50 % faster", "percent sign"),
        ("version=1.0\n", "version=1.0-beta\n", "dotted numbers"),
        ("tracker=https://example.org", "tracker=example", "not a web address"),
    ],
)
def test_metadata_the_site_refuses(old: str, new: str, fault: str) -> None:
    assert any(fault in found for found in find_metadata_faults(METADATA.replace(old, new)))


def test_a_zip_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("site_rules.MAX_BYTES", 10)
    target = tmp_path / "plugin.zip"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("plugin/__init__.py", "")
    assert any("larger than" in fault for fault in find_faults(target))
