"""Where the plugin's own files lie, in a checkout and in an installed plugin alike."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).parent
DEFAULT_MODEL = "scasnet_vgg_compact_dubai.onnx"


def resources() -> Path:
    """The folder of the icon, the shipped model and the demo image."""
    installed = PLUGIN / "resources"
    return installed if installed.is_dir() else PLUGIN.parent / "resources"


def translations() -> Path:
    """The folder of the compiled translations."""
    installed = PLUGIN / "i18n"
    return installed if installed.is_dir() else PLUGIN.parent / "i18n"


def icon() -> str:
    return str(resources() / "icon.svg")


def default_model() -> Path:
    """The model that is used where the user names none."""
    return resources() / "models" / DEFAULT_MODEL
