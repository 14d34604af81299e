"""Errors shown to the user, each with one sentence that says what to do.

::

    ScasNetError
    |- SettingError       a parameter or setting that cannot work
    |- InputError         the raster cannot be read or used
    |- OutputError        the result cannot be written
    |- ModelError         the model file cannot be used
    |- DependencyError    a Python package is missing or broken
    |  '- TrainingDependencyError    one that only training needs, in the Python that trains
    |- TrainingError      the training data or run is unusable
    '- Cancelled          the user stopped the run
"""

from __future__ import annotations

from typing import Any

from scasnet_qgis.common.messages import Message, translate
from scasnet_qgis.common.redaction import without_secrets


class ScasNetError(Exception):
    """A sentence for the user, and optionally a technical detail for the log.

    ``template`` is filled with ``values``; ``message`` holds both until the sentence is shown.
    """

    def __init__(self, template: str, detail: str = "", **values: Any) -> None:
        self.message = Message(template, values)
        super().__init__(str(self.message))
        self.detail = without_secrets(detail)

    @property
    def sentence(self) -> str:
        """The sentence in English."""
        return str(self.message)


class SettingError(ScasNetError):
    """A parameter or a setting has a value that cannot work."""


class InputError(ScasNetError):
    """The input raster cannot be read or does not fit the model."""


class OutputError(ScasNetError):
    """The result cannot be written where the user wants it."""


class ModelError(ScasNetError):
    """The model file is missing, broken, or not a segmentation model."""


class DependencyError(ScasNetError):
    """A Python package that is needed is missing or does not load."""


class TrainingDependencyError(DependencyError):
    """The Python that trains lacks PyTorch or another package of training, or does not start."""


class TrainingError(ScasNetError):
    """The training data or a checkpoint cannot be used."""


class Cancelled(ScasNetError):  # noqa: N818 (it is no error)
    """The user stopped the run; nothing is wrong."""

    def __init__(self) -> None:
        super().__init__(translate("ScasNet", "The run was cancelled."))
