"""``scasnet:checksetup``: installed packages and devices, and commands for missing ones."""

from __future__ import annotations

import platform
import subprocess  # nosec B404
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
)

from scasnet_qgis import environment as dependencies
from scasnet_qgis import paths, settings
from scasnet_qgis.common.errors import ScasNetError
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import ScasNetAlgorithm, translated

HTML = "HTML"
REPORT, READY, CAN_TRAIN = "REPORT", "READY", "CAN_TRAIN"
_TORCH_QUERY = (
    "import torch; print(torch.__version__, "
    "torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'CPU', sep='|')"
)
_QUERY_TIMEOUT = 60  # seconds


class CheckSetup(ScasNetAlgorithm):
    """Reports versions, execution providers and devices; never fails for what is missing."""

    def name(self) -> str:
        return "checksetup"

    def displayName(self) -> str:
        return translate("ScasNet", "Check the set-up")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Reports the versions of QGIS, Python, numpy, GDAL, ONNX Runtime, protobuf and PyTorch "
            "and the devices that models can run on. For what is missing it gives the command that "
            "installs it for this QGIS.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_file(
            HTML,
            translate("ScasNet", "Report page"),
            translate("ScasNet", "HTML files (*.html)"),
            translate(
                "ScasNet",
                "The report as a page, which opens in the results viewer. Commands can be copied "
                "from it.",
            ),
            by_default=True,
        )
        self.addOutput(QgsProcessingOutputString(REPORT, translate("ScasNet", "Report")))
        ready = translate("ScasNet", "Maps can be made")
        self.addOutput(QgsProcessingOutputBoolean(READY, ready))
        can_train = translate("ScasNet", "Models can be trained")
        self.addOutput(QgsProcessingOutputBoolean(CAN_TRAIN, can_train))

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets

        files = self.files_of(parameters, context, HTML)
        pages = [Path(file) for file in files.values()]
        check_targets(pages, [])
        ready, runtime = runtime_lines()
        can_train, torch = torch_lines()
        verdicts = [
            translate("ScasNet", "Maps can be made.")
            if ready
            else translate("ScasNet", "Maps cannot be made yet."),
            translate("ScasNet", "Models can be trained.")
            if can_train
            else translate("ScasNet", "Models cannot be trained yet."),
        ]
        lines = [*version_lines(), *runtime, *torch, " ".join(verdicts)]
        for line in lines:
            feedback.pushInfo(line)
        with atomic_files(pages) as working:
            for page in pages:
                working[page].write_text(as_html(self.displayName(), lines), encoding="utf-8")
        return {REPORT: "\n".join(lines), READY: ready, CAN_TRAIN: can_train, **files}


def as_html(title: str, lines: Sequence[str]) -> str:
    """The lines as a page; commands, which are there to be copied, keep their spaces."""
    from scasnet_qgis.common.reports import page as html

    commands = {
        dependencies.install_command(dependencies.ONNXRUNTIME),
        dependencies.install_command("openvino"),
        *dependencies.training_commands(),
    }
    parts = [
        html.preformatted(line) if line in commands else html.paragraph(line) for line in lines
    ]
    return html.page(title, *parts, lang=translate("ScasNet", "en"))


def version_lines() -> list[str]:
    """Versions of what QGIS brings along."""
    import numpy as np
    from osgeo import gdal

    return [
        f"QGIS {Qgis.version()}",
        f"{platform.system()} {platform.release()} ({platform.machine()})",
        f"Python {platform.python_version()} ({sys.executable})",
        f"numpy {np.__version__}",
        f"GDAL {gdal.VersionInfo('RELEASE_NAME')}",
        translate("ScasNet", "Folder of extra packages: {folder}").format(
            folder=settings.packages_folder()
        ),
    ]


def runtime_lines() -> tuple[bool, list[str]]:
    """Whether ONNX Runtime works, and what to say about it."""
    from scasnet_qgis.models.runtime import available, runtime_description, wheel_clash

    version = dependencies.version_of(dependencies.ONNXRUNTIME)
    if version is None:
        text = translate("ScasNet", "ONNX Runtime is missing, so no maps can be made. Install it:")
        return False, [text, dependencies.runtime_command()]
    try:
        import onnxruntime  # noqa: F401
    except (ImportError, OSError) as error:
        text = translate("ScasNet", "ONNX Runtime {version} is installed but cannot load: {error}")
        reinstall = translate("ScasNet", "Install it again:")
        command = dependencies.install_command(dependencies.ONNXRUNTIME)
        return False, [text.format(version=version, error=error), reinstall, command]
    protobuf = dependencies.version_of(dependencies.PROTOBUF)
    if protobuf is None:
        text = translate("ScasNet", "protobuf is missing, so no models can be read. Install it:")
        return False, [translated(runtime_description()), text, dependencies.runtime_command()]
    clash = wheel_clash()
    messages = [runtime_description(), clash] if clash else [runtime_description()]
    return True, [
        *map(translated, messages),
        f"protobuf {protobuf}",
        *map(device_line, available()),
        *openvino_lines(),
    ]


def openvino_lines() -> list[str]:
    """What would make maps faster where there is no graphics card; nothing where it is there."""
    from scasnet_qgis.models import openvino_session
    from scasnet_qgis.models.runtime import AUTOMATIC, available

    gpu_devices = set(AUTOMATIC) - {"openvino", "cpu"}
    if openvino_session.is_there() or gpu_devices & set(available()):
        return []
    text = translate(
        "ScasNet",
        "OpenVINO is not installed. It makes maps much faster on processors with bfloat16 "
        "instructions. Install it:",
    )
    return [text, dependencies.install_command("openvino")]


def device_line(device: str) -> str:
    """Whether a device really works: being built in does not mean that its libraries load."""
    from scasnet_qgis.models.backend import OnnxBackend
    from scasnet_qgis.models.model_file import inspect
    from scasnet_qgis.models.runtime import PROVIDERS

    name, reason = PROVIDERS[device], ""
    try:
        info = inspect(paths.default_model())
        with OnnxBackend(info, device, threads=1, tile_size=(64, 64)) as backend:
            works = backend.provider == name
            reason = "" if works or not backend.warnings else translated(backend.warnings[0])
    except ScasNetError as error:
        works, reason = False, translated(error.message)
    if works:
        return translate("ScasNet", "Device {device}: works ({name})").format(
            device=device, name=name
        )
    text = translate("ScasNet", "Device {device}: built in, but does not load ({name}). {reason}")
    return text.format(device=device, name=name, reason=reason)


def torch_lines() -> tuple[bool, list[str]]:
    """Whether an interpreter with PyTorch is known, and what to say about it."""
    interpreter = dependencies.python_for_training()
    try:
        # No shell is involved, and the program is the user's own setting.
        completed = subprocess.run(  # nosec B603
            [interpreter, "-c", _TORCH_QUERY],
            env=dependencies.environment_for_training(),
            capture_output=True,
            text=True,
            timeout=_QUERY_TIMEOUT,
            check=True,
        )
        version, device = completed.stdout.strip().split("|", 1)
    except (OSError, ValueError, subprocess.SubprocessError):
        text = translate(
            "ScasNet",
            "PyTorch was not found with {python}: it is needed only to train models. Install it:",
        )
        choose = translate(
            "ScasNet",
            "Then choose that python in Settings > Options > Processing > Providers > ScasNet.",
        )
        commands = dependencies.training_commands()
        return False, [text.format(python=interpreter), *commands, choose]
    text = translate("ScasNet", "PyTorch {version} on {device} ({python})")
    return True, [text.format(version=version, device=device, python=interpreter)]
