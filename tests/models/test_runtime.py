"""Which providers there are and which are taken, and several wheels that overwrite another."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.models import openvino_session
from scasnet_qgis.models import runtime as runtimes
from scasnet_qgis.models.runtime import (
    PROVIDERS,
    available,
    installed_wheels,
    providers_for,
    runtime_description,
    short_name,
    wheel_clash,
)


class FakeRuntime:
    """An onnxruntime that was built with other providers."""

    def __init__(self, *names: str) -> None:
        self._names = [PROVIDERS[name] for name in names]

    def get_available_providers(self) -> list[str]:
        return ["AzureExecutionProvider", *self._names]


def built_with(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    runtime: Any = FakeRuntime(*names)
    monkeypatch.setattr(runtimes, "onnxruntime", lambda: runtime)


def test_the_cpu_is_always_there() -> None:
    assert "cpu" in available()
    assert providers_for("cpu") == ["CPUExecutionProvider"]
    assert providers_for("auto")[-1] == "CPUExecutionProvider"


def test_auto_takes_the_graphics_card_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built_with(monkeypatch, "tensorrt", "cuda", "cpu")
    assert providers_for("auto") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers_for(" CUDA ") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers_for("tensorrt")[0] == "TensorrtExecutionProvider"


def test_auto_prefers_tiles_side_by_side_to_openvino_inside_onnxruntime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with(monkeypatch, "openvino-ep", "cpu")
    assert providers_for("auto") == ["CPUExecutionProvider"]
    assert providers_for("openvino-ep") == ["OpenVINOExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize("short_numbers", [True, False])
def test_auto_takes_openvino_where_the_processor_has_short_numbers(
    monkeypatch: pytest.MonkeyPatch, short_numbers: bool
) -> None:
    built_with(monkeypatch, "cuda", "cpu")
    monkeypatch.setattr(openvino_session, "is_there", lambda: True)
    monkeypatch.setattr(openvino_session, "has_short_numbers", lambda: short_numbers)
    between = ["OpenVINO"] if short_numbers else []
    assert providers_for("auto") == ["CUDAExecutionProvider", *between, "CPUExecutionProvider"]
    assert providers_for("openvino") == ["OpenVINO", "CPUExecutionProvider"]


def test_what_is_not_there_is_refused_and_what_is_there_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with(monkeypatch, "directml", "cpu")
    with pytest.raises(SettingError, match=r"'cuda' is not available.*auto, directml, cpu"):
        providers_for("cuda")
    with pytest.raises(SettingError, match="'gpu'"):
        providers_for("gpu")


def test_short_names_go_both_ways() -> None:
    assert short_name("DmlExecutionProvider") == "directml"
    assert short_name("NewExecutionProvider") == "NewExecutionProvider"


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
    text = str(runtime_description())
    assert onnxruntime.__version__ in text
    assert f"onnxruntime {metadata.version('onnxruntime')}" in text
    assert wheel_clash() is None


def test_packages_of_one_folder_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pretend(tmp_path, "onnxruntime", "onnxruntime-gpu", "onnx")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = installed_wheels(package)
    assert found == {"onnxruntime": "1.0", "onnxruntime-gpu": "1.1"}
    monkeypatch.setattr(runtimes, "_loaded_wheels", lambda: found)
    assert "onnxruntime, onnxruntime-gpu overwrite each other" in str(wheel_clash())


def test_packages_of_other_folders_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pretend(tmp_path / "first", "onnxruntime-openvino")
    second = pretend(tmp_path / "second", "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert installed_wheels(first) == {"onnxruntime-openvino": "1.0"}
    assert installed_wheels(second) == {"onnxruntime": "1.0"}
