"""Which package of ONNX Runtime is installed, and several that overwrite one another."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import onnxruntime
import pytest

from scasnet_qgis.models import wheels


def pretend(folder: Path, *names: str) -> Path:
    """Leave in ``folder`` what an installation of these packages leaves."""
    for index, name in enumerate(names):
        record = folder / f"{name.replace('-', '_')}-1.{index}.dist-info"
        record.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.{index}\n"
        (record / "METADATA").write_text(text)
    package = folder / "onnxruntime"
    package.mkdir(exist_ok=True)
    return package


def test_the_package_that_is_loaded_is_named() -> None:
    text = str(wheels.description())
    assert onnxruntime.__version__ in text
    assert f"onnxruntime {metadata.version('onnxruntime')}" in text
    assert wheels.clash() is None


def test_packages_of_one_folder_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pretend(tmp_path, "onnxruntime", "onnxruntime-gpu", "onnx")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = wheels.installed(package)
    assert found == {"onnxruntime": "1.0", "onnxruntime-gpu": "1.1"}
    monkeypatch.setattr(wheels, "_loaded", lambda: found)
    assert "onnxruntime, onnxruntime-gpu are installed into one folder" in str(wheels.clash())


def test_packages_of_other_folders_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pretend(tmp_path / "first", "onnxruntime-openvino")
    second = pretend(tmp_path / "second", "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert wheels.installed(first) == {"onnxruntime-openvino": "1.0"}
    assert wheels.installed(second) == {"onnxruntime": "1.0"}
