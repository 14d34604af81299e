"""What a user gives for some settings of a training, as the values of the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

DEFAULT_MODEL = "default"  # start_from: the model that comes with the plugin
NOTHING = "nothing"  # start_from: random weights
_STARTS = (".onnx", ".safetensors", ".caffemodel")


def band_numbers(given: str) -> list[int]:
    """The numbers in "1;2;3" or "1,2,3"; raises SettingError."""
    words = [word for word in re.split(r"[;,\s]+", given.strip()) if word]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        text = translate("ScasNet", "'{value}' is not a list of band numbers such as 1;2;3.")
        raise SettingError(text, value=given)
    numbers = [int(word) for word in words]
    if len(set(numbers)) < len(numbers):
        raise SettingError(
            translate("ScasNet", "'{value}' names a band twice: give each band once."), value=given
        )
    return numbers


def validation_share(given: float) -> float:
    """A share that may be given in percent; raises SettingError where it is 0."""
    if given <= 0.0:
        text = translate(
            "ScasNet",
            "Without validation data the accuracy stays unknown: choose a share above 0, as in "
            "0.2, or validation images.",
        )
        raise SettingError(text)
    return given / 100.0 if given >= 1.0 else given


def start_from(given: str) -> str:
    """What a training starts from, as an absolute path or a word; raises SettingError."""
    if not given:
        return DEFAULT_MODEL
    path = Path(given)
    if path.name.lower() == NOTHING and not path.exists():
        return NOTHING
    if not path.exists():
        text = translate(
            "ScasNet", "{path} does not exist: choose another file to start from, or write nothing."
        )
        raise SettingError(text, path=path)
    if path.is_file() and path.suffix.lower() not in _STARTS and path.name != "state.json":
        text = translate(
            "ScasNet",
            "Training cannot start from {name}: choose a model (.onnx), weights (.safetensors or "
            ".caffemodel) or a training folder.",
        )
        raise SettingError(text, name=path.name)
    return str(path.absolute())


def card_of(name: str) -> dict[str, Any]:
    return {"name": name.strip()} if name.strip() else {}
