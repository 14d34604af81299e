"""Execution providers: what computes a model, from the processor to a graphics card."""

from __future__ import annotations

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.models import openvino_session
from scasnet_qgis.models.runtime import CPU, onnxruntime

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": openvino_session.NAME,
    "cpu": CPU,
    "openvino-ep": "OpenVINOExecutionProvider",
}
# They compute on the processor, where tiles side by side beat threads inside a tile.
ON_PROCESSOR = (CPU, openvino_session.NAME)
# Fastest first. TensorRT builds an engine for minutes, Core ML computes in half precision, and
# OpenVINO behind ONNX Runtime takes one tile after the other: they are for those who ask. Its own
# package is taken where the processor has short numbers for it.
AUTOMATIC = ("cuda", "migraphx", "rocm", "directml", "openvino", "cpu")


def available() -> list[str]:
    """Short names of the providers that the installed packages were built with.

    One that is listed may still fail to load, where its driver or libraries are missing.
    """
    built = set(onnxruntime().get_available_providers())
    if openvino_session.is_there():
        built.add(openvino_session.NAME)
    return [short for short, name in PROVIDERS.items() if name in built]


def choose(device: str) -> list[str]:
    """ONNX Runtime's names of the providers to try for ``device``, best first; the last is the CPU.

    ``device`` is "auto" or a short name. Raises SettingError for one that is not there.
    """
    wanted, there = device.strip().lower(), available()
    if wanted == "auto":
        left_out = () if openvino_session.pays() else ("openvino",)
        return [PROVIDERS[short] for short in AUTOMATIC if short in there and short not in left_out]
    if wanted not in there:
        raise SettingError(
            translate(
                "ScasNet",
                "The device '{device}' is not available here: choose one of auto, {names}. "
                "'Check the set-up' says what is installed.",
            ),
            device=device,
            names=", ".join(there),
        )
    return [PROVIDERS[wanted]] if wanted == "cpu" else [PROVIDERS[wanted], CPU]


def short_name(provider: str) -> str:
    """The short name of a provider, its own name where there is none."""
    names = {name: short for short, name in PROVIDERS.items()}
    return names.get(provider, provider)
