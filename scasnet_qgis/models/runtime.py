"""ONNX Runtime: importing it, and opening a model file in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scasnet_qgis.core.errors import DependencyError, ModelError
from scasnet_qgis.core.messages import translate

CPU = "CPUExecutionProvider"
_FOLDER = "session.model_external_initializers_file_folder_path"
_SILENT = 4  # ONNX Runtime's severity "fatal": failures come back as exceptions, not on stderr


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
            options.add_session_config_entry(_FOLDER, str(path.parent))
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
            "ScasNet", "{name} is not an ONNX model, or only a part of one: choose another file."
        )
    elif "ir version" in lowered or "opset" in lowered:
        template = translate(
            "ScasNet", "{name} was made for a newer onnxruntime: install a newer version of it."
        )
    elif "external data" in lowered or "external_data" in lowered:
        template = translate(
            "ScasNet", "{name} lacks the file with its weights: put that file beside it."
        )
    return ModelError(template, detail, name=path.name)


def run_options() -> Any:
    """Options of one run, whose ``terminate`` stops it."""
    options = onnxruntime().RunOptions()
    options.log_severity_level = _SILENT
    return options
