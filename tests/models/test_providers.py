"""Which execution provider is used for which wish."""

from __future__ import annotations

from typing import Any

import pytest

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.models import openvino_session, providers
from scasnet_qgis.models.providers import available, choose, short_name


class FakeRuntime:
    """An onnxruntime that was built with other providers."""

    def __init__(self, *names: str) -> None:
        self._names = [providers.PROVIDERS[each] for each in names]

    def get_available_providers(self) -> list[str]:
        return ["AzureExecutionProvider", *self._names]


def built_with(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    runtime: Any = FakeRuntime(*names)
    monkeypatch.setattr(providers, "onnxruntime", lambda: runtime)


def test_the_cpu_is_always_there() -> None:
    assert "cpu" in available()
    assert choose("cpu") == ["CPUExecutionProvider"]
    assert choose("auto")[-1] == "CPUExecutionProvider"


def test_auto_takes_the_graphics_card_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built_with(monkeypatch, "tensorrt", "cuda", "cpu")
    assert choose("auto") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert choose(" CUDA ") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert choose("tensorrt")[0] == "TensorrtExecutionProvider"


def test_auto_prefers_tiles_side_by_side_to_openvino_inside_onnxruntime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with(monkeypatch, "openvino-ep", "cpu")
    assert choose("auto") == ["CPUExecutionProvider"]
    assert choose("openvino-ep") == ["OpenVINOExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize("short_numbers", [True, False])
def test_auto_takes_openvino_where_the_processor_has_short_numbers(
    monkeypatch: pytest.MonkeyPatch, short_numbers: bool
) -> None:
    built_with(monkeypatch, "cuda", "cpu")
    monkeypatch.setattr(openvino_session, "is_there", lambda: True)
    monkeypatch.setattr(openvino_session, "has_short_numbers", lambda: short_numbers)
    between = ["OpenVINO"] if short_numbers else []
    assert choose("auto") == ["CUDAExecutionProvider", *between, "CPUExecutionProvider"]
    assert choose("openvino") == ["OpenVINO", "CPUExecutionProvider"]


def test_what_is_not_there_is_refused_and_what_is_there_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with(monkeypatch, "directml", "cpu")
    with pytest.raises(SettingError, match=r"'cuda' is not available.*auto, directml, cpu"):
        choose("cuda")
    with pytest.raises(SettingError, match="'gpu'"):
        choose("gpu")


def test_short_names_go_both_ways() -> None:
    assert short_name("DmlExecutionProvider") == "directml"
    assert short_name("NewExecutionProvider") == "NewExecutionProvider"
