"""The base class of all algorithms: progress, errors as one sentence, parameter help."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFileDestination,
    QgsProcessingUtils,
)
from qgis.PyQt.QtGui import QIcon

from scasnet_qgis import environment as dependencies
from scasnet_qgis import paths
from scasnet_qgis.common.errors import (
    Cancelled,
    DependencyError,
    ScasNetError,
    TrainingDependencyError,
)
from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import without_secrets
from scasnet_qgis.i18n import translate


class FeedbackProgress(Progress):
    """QGIS's feedback in the terms of the core."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback

    def report(self, fraction: float) -> None:
        self._feedback.setProgress(100.0 * fraction)

    def info(self, text: str | Message) -> None:
        self._feedback.pushInfo(translated(text))

    def warn(self, text: str | Message) -> None:
        self._feedback.pushWarning(translated(text))

    @property
    def cancelled(self) -> bool:
        return bool(self._feedback.isCanceled())


class ScasNetAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose work is ``compute``; its errors reach the user as one line.

    ``check`` looks at the parameters before anything starts, ``read_layers`` is called in the main
    thread; both do nothing unless an algorithm has its own. (QGIS has methods called ``prepare``
    and ``run``, which are not to be overridden.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._layer_error: ScasNetError | None = None

    def createInstance(self) -> ScasNetAlgorithm:
        return type(self)()

    def icon(self) -> QIcon:
        return QIcon(paths.icon())

    def svgIconPath(self) -> str:
        return paths.icon()

    def keywords(self) -> str:
        """What the toolbox finds the algorithm by, separated by commas."""
        return ""

    def tags(self) -> list[str]:
        return self.keywords().split(",")

    def add(
        self, parameter: QgsProcessingParameterDefinition, help_text: str, advanced: bool = False
    ) -> None:
        """Add a parameter with its help; advanced ones are folded away in the dialog."""
        parameter.setHelp(help_text)
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)

    def add_file(
        self,
        name: str,
        label: str,
        file_filter: str,
        help_text: str,
        *,
        required: bool = False,
        by_default: bool = False,
    ) -> None:
        """Add a file to be written; ``by_default`` the toolbox makes a temporary one."""
        made = required or by_default
        parameter = QgsProcessingParameterFileDestination(
            name, label, file_filter, None, not required, made
        )
        self.add(parameter, help_text)

    def files_of(
        self, parameters: dict[str, Any], context: QgsProcessingContext, *names: str
    ) -> dict[str, str]:
        """The paths of those of the optional files ``names`` that are wanted.

        To be called once: QGIS makes up another name for a temporary file each time.
        """
        return {
            name: str(self.parameterAsFileOutput(parameters, name, context))
            for name in names
            if parameters.get(name) not in (None, "")
        }

    def add_outputs(
        self, kind: type[QgsProcessingOutputDefinition], labels: Mapping[str, str]
    ) -> None:
        """Declare outputs of one kind; ``labels`` by their names."""
        for name, label in labels.items():
            self.addOutput(kind(name, label))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        accepted, message = super().checkParameterValues(parameters, context)
        if not accepted:
            return False, str(message)
        dependencies.extend_path()
        try:
            self.check(parameters, context)
        except ScasNetError as error:
            return False, sentence_of(error)
        return True, ""

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Raise ScasNetError for parameters that cannot work; it is asked before every run."""

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self._layer_error = None
        try:
            self.read_layers(parameters, context, feedback)
        except ScasNetError as error:
            # QGIS shows no sentence of what is raised here: ``processAlgorithm`` raises it.
            self._layer_error = error
        return True

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        """Turn layers into plain values, in the main thread; raises ScasNetError."""

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        dependencies.extend_path()
        try:
            if self._layer_error is not None:
                raise self._layer_error
            with cancelled_by_signals(feedback):
                return self.compute(parameters, context, feedback)
        except Cancelled:
            feedback.pushWarning(self.cancelled_text())
            return {}
        except ScasNetError as error:
            if error.detail:
                feedback.pushDebugInfo(error.detail)
            raise QgsProcessingException(sentence_of(error)) from error
        except MemoryError as error:
            text = translate("ScasNet", "Out of memory: choose a smaller tile size.")
            raise QgsProcessingException(text) from error

    def cancelled_text(self) -> str:
        """What is there after a cancel, in the user's language."""
        return translate("ScasNet", "Cancelled: no output was written.")

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Do the work and return the outputs; raises ScasNetError."""
        raise NotImplementedError


def translated(text: str | Message) -> str:
    """A text in the user's language."""
    if isinstance(text, str):
        return without_secrets(text)
    values = {
        key: translated(value) if isinstance(value, Message) else value
        for key, value in text.values.items()
    }
    return Message(text.template, values).filled(translate("ScasNet", text.template))


def sentence_of(error: ScasNetError) -> str:
    """The error's sentence, with the command that installs what is missing."""
    sentence = translated(error.message)
    if not isinstance(error, DependencyError):
        return sentence
    if isinstance(error, TrainingDependencyError):
        hint = translate(
            "ScasNet",
            "Set up a Python for training with these commands, then choose it in Settings > "
            "Options > Processing > Providers > ScasNet: {command}",
        )
        return f"{sentence} {hint.format(command=' && '.join(dependencies.training_commands()))}"
    hint = translate("ScasNet", "Install it with this command, then start QGIS again: {command}")
    return f"{sentence} {hint.format(command=dependencies.runtime_command())}"


def is_temporary(path: Path) -> bool:
    """Whether QGIS deletes the file when it closes."""
    return Path(QgsProcessingUtils.tempFolder()) in path.parents


_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # not every system has all of them


@contextmanager
def cancelled_by_signals(feedback: QgsProcessingFeedback) -> Iterator[None]:
    """While this lasts, a signal cancels ``feedback``; afterwards it does what it always does.

    Only in the main thread, where qgis_process runs algorithms; the desktop program runs them in
    others and keeps its own handling.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def cancel(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        feedback.cancel()

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    former = {number: signal.signal(number, cancel) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            # Python's own handler would raise in here and show where, which helps nobody.
            plain = handler is None or (received and handler is signal.default_int_handler)
            signal.signal(number, signal.SIG_DFL if plain else handler)
        if received:
            _flush()
            os.kill(os.getpid(), received[0])


def _flush() -> None:
    """Write what qgis_process has said and still holds back, such as where to go on."""
    sys.stdout.flush()
    if os.name == "posix":
        import ctypes

        ctypes.CDLL(None).fflush(None)
