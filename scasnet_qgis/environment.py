"""Finds Python packages and interpreters beside QGIS's own, and gives commands to install."""

from __future__ import annotations

import os
import sys
from importlib import util
from pathlib import Path

import qgis

from scasnet_qgis import settings

ONNXRUNTIME, PROTOBUF = "onnxruntime", "protobuf"
RUNTIME = (ONNXRUNTIME, PROTOBUF)  # what maps need; pip brings the second with the first
_MODULES = {PROTOBUF: "google.protobuf"}  # where it is not called as its package


def extend_path() -> None:
    """Make the folder of extra packages importable.

    It goes to the end of the path: a newer numpy in it must not hide the one that GDAL was
    built for.
    """
    folder = str(settings.packages_folder())
    if folder not in sys.path and Path(folder).is_dir():
        sys.path.append(folder)


def version_of(package: str) -> str | None:
    """The installed version of a package, without importing it; None if it is not there."""
    from scasnet_qgis.models.runtime import WHEELS

    try:
        if util.find_spec(_MODULES.get(package, package)) is None:
            return None
    except ModuleNotFoundError:  # of the package that it lies in
        return None
    # These wheels share one folder, so the package may have come under another name.
    names = WHEELS if package == ONNXRUNTIME else (package,)
    return next(filter(None, map(_version_of_wheel, names)), "?")


def _version_of_wheel(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python_of_qgis(
    executable: str = sys.executable, prefix: str = sys.prefix, bindings: str = qgis.__file__
) -> Path:
    """The command-line Python that belongs to this QGIS.

    On Windows and macOS ``sys.executable`` is QGIS itself, so the interpreter is looked for
    where QGIS's installers put it. On Linux it is the first python3 of PATH, which may be one
    that knows nothing of QGIS; the distribution's own is the one that has the bindings.
    """
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if bindings.startswith("/usr/") and system.exists():
        return system
    program = Path(executable)
    if program.stem.lower().startswith("python") and "qgis" not in program.stem.lower():
        return program
    beside = program.parent
    candidates = (
        beside / "python-qgis.bat",
        beside / "python-qgis-ltr.bat",
        beside / "python-qgis-dev.bat",
        beside / "bin" / "python3",
        beside / "python3",
        Path(prefix) / "bin" / "python3",
        Path(prefix) / "python.exe",
    )
    return next((path for path in candidates if path.exists()), Path("python3"))


def python_for_training() -> str:
    """The interpreter that trains: the one the user named, else QGIS's own."""
    return settings.torch_python() or str(python_of_qgis())


def environment_for_training() -> dict[str, str]:
    """This process's environment without what ties a Python to QGIS (Windows)."""
    tied = ("PYTHONHOME", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in tied}


def install_command(package: str, python: Path | None = None, folder: Path | None = None) -> str:
    """The exact command that installs a package, or several, for this QGIS.

    numpy is pinned to QGIS's own version: a newer one breaks GDAL's Python bindings.
    """
    interpreter = python or python_of_qgis()
    target = folder or settings.packages_folder()
    return f'"{interpreter}" -m pip install --upgrade --target "{target}" {_numpy()} {package}'


def runtime_command() -> str:
    """The exact command that installs what maps need and is missing; all where nothing is."""
    missing = [package for package in RUNTIME if version_of(package) is None]
    return install_command(" ".join(missing or RUNTIME))


def training_commands(python: Path | None = None, folder: Path | None = None) -> list[str]:
    """The exact commands that set up an interpreter of its own for training.

    It is a virtual environment: distributions do not let pip change QGIS's Python.
    """
    interpreter = python or python_of_qgis()
    target = folder or settings.default_packages_folder().with_name("scasnet_torch")
    inside = target / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python3")
    return [
        f'"{interpreter}" -m venv --system-site-packages "{target}"',
        f'"{inside}" -m pip install {_numpy()} torch safetensors onnx onnxruntime',
    ]


def _numpy() -> str:
    """The requirement that keeps numpy at the installed version."""
    import numpy as np

    return f'"numpy=={np.__version__}"'
