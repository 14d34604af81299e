"""Where packages are found, and the command for what is missing, on three systems."""

from __future__ import annotations

import sys
from pathlib import Path

import google.protobuf
import numpy as np
import pytest

from scasnet_qgis import environment as dependencies


@pytest.mark.parametrize(
    ("layout", "executable", "expected"),
    [
        (["bin/python3.11"], "bin/python3.11", "bin/python3.11"),
        (["bin/qgis-bin.exe", "bin/python-qgis.bat"], "bin/qgis-bin.exe", "bin/python-qgis.bat"),
        (
            ["bin/qgis-ltr-bin.exe", "bin/python-qgis-ltr.bat"],
            "bin/qgis-ltr-bin.exe",
            "bin/python-qgis-ltr.bat",
        ),
        (["MacOS/QGIS", "MacOS/bin/python3"], "MacOS/QGIS", "MacOS/bin/python3"),
    ],
)
def test_interpreter_of_qgis(tmp_path, layout, executable, expected):
    for name in layout:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    nowhere, bindings = str(tmp_path / "none"), str(tmp_path / "qgis" / "__init__.py")
    found = dependencies.python_of_qgis(str(tmp_path / executable), nowhere, bindings)
    assert found == tmp_path / expected


def test_another_python_in_path_is_not_taken_for_that_of_qgis():
    """An embedded Python calls the first python3 of PATH its own, be it conda's or pyenv's."""
    found = dependencies.python_of_qgis("/home/me/.pyenv/shims/python3", "/usr", "/usr/lib/qgis.py")
    assert found == Path(f"/usr/bin/python3.{sys.version_info.minor}")


def test_command_pins_numpy(provider, tmp_path):
    command = dependencies.install_command("onnxruntime", folder=tmp_path)
    assert f'"numpy=={np.__version__}"' in command
    assert f'--target "{tmp_path}"' in command


@pytest.mark.parametrize(
    ("missing", "packages"),
    [
        (("onnxruntime", "protobuf"), "onnxruntime protobuf"),
        (("protobuf",), "protobuf"),
        ((), "onnxruntime protobuf"),
    ],
)
def test_command_names_what_is_missing_for_maps(provider, monkeypatch, missing, packages):
    """Else a card's ONNX Runtime would be overwritten by the processor's."""
    found = dependencies.version_of
    monkeypatch.setattr(
        dependencies, "version_of", lambda name: None if name in missing else found(name)
    )
    assert dependencies.runtime_command().endswith(f'" {packages}')


def test_versions_of_packages_whose_modules_have_other_names(provider, monkeypatch):
    assert dependencies.version_of("protobuf") == google.protobuf.__version__
    monkeypatch.setattr(dependencies.util, "find_spec", missing_parent)
    assert dependencies.version_of("protobuf") is None


def missing_parent(name):
    raise ModuleNotFoundError("none", name="google")


def test_extra_packages_come_last(provider, tmp_path, monkeypatch):
    """First on the path, a newer numpy in that folder would break GDAL's bindings."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(dependencies.settings, "packages_folder", lambda: tmp_path)
    dependencies.extend_path()
    dependencies.extend_path()
    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1
