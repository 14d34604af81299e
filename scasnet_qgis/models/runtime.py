"""ONNX Runtime: importing it, what it was built with, and opening a model file in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import DependencyError, ModelError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.models import openvino_session

CPU = "CPUExecutionProvider"
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_SILENT = 4  # ONNX Runtime's severity "fatal": failures come back as exceptions, not on stderr
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
_PACKAGE = "onnxruntime"  # the folder that all its wheels share
# Those of nightly builds are left out.
WHEELS = tuple(
    _PACKAGE + ending
    for ending in (
        "", "-gpu", "-openvino", "-directml", "-migraphx", "-rocm", "-qnn", "-cann", "-silicon",
        "-training",
    )
)  # fmt: skip


def onnxruntime() -> Any:
    """The module. Raises DependencyError where it is missing or does not load."""
    try:
        import onnxruntime as module
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise _broken(error) from error
        raise DependencyError(
            translate(
                "ScasNet", "The Python package onnxruntime, which runs the models, is missing."
            )
        ) from error
    except (ImportError, OSError) as error:  # OSError: one of its libraries does not load
        raise _broken(error) from error
    if not hasattr(module, "InferenceSession"):  # an empty folder that an uninstallation left
        raise _broken(ImportError(f"no InferenceSession in {module}"))
    return module


def _broken(error: Exception) -> DependencyError:
    return DependencyError(
        translate(
            "ScasNet",
            "The Python package onnxruntime is installed but does not load: install it again.",
        ),
        str(error),
    )


def quiet_options(threads: int = 1) -> Any:
    """Options of a session that computes a run in the calling thread and ``threads`` - 1 others."""
    options = onnxruntime().SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def open_session(path: Path, providers: Sequence[Any], options: Any, content: bytes = b"") -> Any:
    """An InferenceSession of a file, or of ``content`` in its place.

    Raises ModelError where it is no model this version can run.
    """
    try:
        model = content or str(path)
        if content:  # weights may be in files beside the model's
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(path.parent))
        return onnxruntime().InferenceSession(model, options, providers=list(providers))
    except Exception as error:  # its exceptions have no common class of their own
        raise _not_loaded(path, str(error)) from error


def _not_loaded(path: Path, detail: str) -> ModelError:
    lowered = detail.lower()
    template = translate(
        "ScasNet", "{name} cannot be loaded as an ONNX model: choose another file."
    )
    if "protobuf" in lowered:
        template = translate(
            "ScasNet", "{name} is not an ONNX model, or is incomplete: choose another file."
        )
    elif "ir version" in lowered or "opset" in lowered:
        template = translate(
            "ScasNet", "{name} was made for a newer onnxruntime: install a newer version of it."
        )
    elif "external data" in lowered or "external_data" in lowered:
        template = translate(
            "ScasNet", "The weights of {name} are missing: put their file beside it."
        )
    return ModelError(template, detail, name=path.name)


def run_options() -> Any:
    """Options of one run, whose ``terminate`` stops it."""
    options = onnxruntime().RunOptions()
    options.log_severity_level = _SILENT
    return options


def available() -> list[str]:
    """Short names of the providers that the installed packages were built with.

    One that is listed may still fail to load, where its driver or libraries are missing.
    """
    built = set(onnxruntime().get_available_providers())
    if openvino_session.is_there():
        built.add(openvino_session.NAME)
    return [short for short, name in PROVIDERS.items() if name in built]


def providers_for(device: str) -> list[str]:
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
                "Device '{device}' is not available: choose auto, {names}. 'Check the "
                "set-up' lists what is installed.",
            ),
            device=device,
            names=", ".join(there),
        )
    return [PROVIDERS[wanted]] if wanted == "cpu" else [PROVIDERS[wanted], CPU]


def short_name(provider: str) -> str:
    """The short name of a provider, its own name where there is none."""
    names = {name: short for short, name in PROVIDERS.items()}
    return names.get(provider, provider)


def installed_wheels(folder: Path) -> dict[str, str]:
    """Name and version of the packages that were installed as ``folder``."""
    from importlib import metadata

    found = {}
    for distribution in metadata.distributions():
        # A broken installation may have no name.
        name = str(distribution.metadata["Name"] or "").lower().replace("_", "-")
        place = Path(str(distribution.locate_file(_PACKAGE)))
        if name in WHEELS and place.resolve() == folder.resolve():
            found[name] = distribution.version
    return found


@lru_cache(maxsize=1)
def _loaded_wheels() -> dict[str, str]:
    """What is installed where the onnxruntime that is loaded comes from."""
    file = onnxruntime().__file__
    return installed_wheels(Path(file).parent) if file else {}


def runtime_description() -> Message:
    """The version of ONNX Runtime that is loaded, and the package it came with."""
    names = ", ".join(f"{name} {version}" for name, version in sorted(_loaded_wheels().items()))
    text = translate("ScasNet", "ONNX Runtime {version} (installed packages: {names})")
    return message(text, version=onnxruntime().__version__, names=names or "?")


def wheel_clash() -> Message | None:
    """A warning where several packages have overwritten one another's files."""
    names = sorted(_loaded_wheels())
    if len(names) < 2:
        return None
    text = translate(
        "ScasNet",
        "The packages {names} overwrite each other's files, so devices may be missing: "
        "uninstall all of them, then install one.",
    )
    return message(text, names=", ".join(names))
