"""The plugin's settings, shown under Settings > Options > Processing > Providers."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtGui import QIcon

from scasnet_qgis import paths
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping.settings import DEVICES

PACKAGES_FOLDER = "SCASNET_PACKAGES_FOLDER"
TORCH_PYTHON = "SCASNET_TORCH_PYTHON"
DEFAULT_DEVICE = "SCASNET_DEFAULT_DEVICE"
_PREFIX = "Processing/Configuration/"  # where Processing keeps the settings of providers


def _value(key: str) -> str:
    return str(QgsSettings().value(_PREFIX + key, "") or "").strip()


def packages_folder() -> Path:
    """Where onnxruntime is looked for if QGIS's own Python has none."""
    chosen = _value(PACKAGES_FOLDER)
    return Path(chosen) if chosen else default_packages_folder()


def default_packages_folder() -> Path:
    return Path(QgsApplication.qgisSettingsDirPath()) / "python" / "scasnet_packages"


def torch_python() -> str:
    """The interpreter that trains, "" for QGIS's own."""
    return _value(TORCH_PYTHON)


def default_device() -> str:
    """What DEVICE is set to in a fresh dialog."""
    chosen = _value(DEFAULT_DEVICE)
    if chosen.isdecimal() and int(chosen) < len(DEVICES):  # QGIS keeps the place in the list
        return DEVICES[int(chosen)]
    return chosen if chosen in DEVICES else DEVICES[0]


def register(group: str) -> bool:
    """Show the settings in QGIS's options; False where Processing's page is not there."""
    try:
        from processing.core.ProcessingConfig import ProcessingConfig, Setting
    except ImportError:
        return False
    ProcessingConfig.settingIcons[group] = QIcon(paths.icon())
    folder = translate("ScasNet", "Folder of extra Python packages (onnxruntime)")
    python = translate("ScasNet", "Python interpreter with PyTorch (training)")
    device = translate("ScasNet", "Default device")
    entries = (
        Setting(group, PACKAGES_FOLDER, folder, "", valuetype=Setting.FOLDER),
        Setting(group, TORCH_PYTHON, python, "", valuetype=Setting.FILE),
        Setting(
            group,
            DEFAULT_DEVICE,
            device,
            DEVICES[0],
            valuetype=Setting.SELECTION,
            options=list(DEVICES),
        ),
    )
    for entry in entries:
        ProcessingConfig.addSetting(entry)
    ProcessingConfig.readSettings()
    return True


def unregister() -> None:
    """Take the settings out of QGIS's options; their values stay."""
    try:
        from processing.core.ProcessingConfig import ProcessingConfig
    except ImportError:
        return
    for key in (PACKAGES_FOLDER, TORCH_PYTHON, DEFAULT_DEVICE):
        ProcessingConfig.removeSetting(key)
