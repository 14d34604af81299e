"""Which package of ONNX Runtime is installed: all of them share one folder."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path

from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.models.runtime import onnxruntime

FOLDER = "onnxruntime"
# Names of packages, each with that folder. Those of nightly builds are left out.
NAMES = tuple(
    FOLDER + ending
    for ending in (
        "", "-gpu", "-openvino", "-directml", "-migraphx", "-rocm", "-qnn", "-cann", "-silicon",
        "-training",
    )
)  # fmt: skip


def installed(folder: Path) -> dict[str, str]:
    """Name and version of the packages that were installed as ``folder``."""
    found = {}
    for distribution in metadata.distributions():
        # A broken installation may have no name.
        name = str(distribution.metadata["Name"] or "").lower().replace("_", "-")
        place = Path(str(distribution.locate_file(FOLDER)))
        if name in NAMES and place.resolve() == folder.resolve():
            found[name] = distribution.version
    return found


@lru_cache(maxsize=1)
def _loaded() -> dict[str, str]:
    """What is installed where the onnxruntime that is loaded comes from."""
    file = onnxruntime().__file__
    return installed(Path(file).parent) if file else {}


def description() -> Message:
    """The version of ONNX Runtime that is loaded, and the package it came with."""
    names = ", ".join(f"{name} {version}" for name, version in sorted(_loaded().items()))
    text = translate("ScasNet", "ONNX Runtime {version} (installed packages: {names})")
    return message(text, version=onnxruntime().__version__, names=names or "?")


def clash() -> Message | None:
    """A warning where several packages have overwritten one another's files."""
    names = sorted(_loaded())
    if len(names) < 2:
        return None
    text = translate(
        "ScasNet",
        "The packages {names} are installed into one folder and have overwritten one another's "
        "files, so that devices may be missing: uninstall all of them, then install one.",
    )
    return message(text, names=", ".join(names))
