"""A task in the training process: it tells how it goes, and ends early when it is asked to."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from scasnet_qgis.common.errors import (
    DependencyError,
    OutputError,
    ScasNetError,
    SettingError,
    TrainingError,
)
from scasnet_qgis.common.messages import Message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.worker.protocol import error_parts, line_of, text_parts
from scasnet_qgis.training.worker.tasks import PACKAGES, missing_packages, task_function

_LOOK_EVERY = 0.2  # seconds
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# What PyTorch and safetensors say where they raise no error of a kind of its own.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_NO_SPACE = ("no space left", "not enough space", "disk quota exceeded")


class EventProgress(Progress):
    """Progress as events on a stream; ``stop`` is set once the run should end."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lock = out, threading.Lock()
        self._shown = -1
        self.stop = threading.Event()

    def send(self, event: str, **parts: Any) -> None:
        """Write an event at once; without a reader there is no reason to go on."""
        try:
            with self._lock:
                self._out.write(line_of(event, **parts) + "\n")
                self._out.flush()
        except (OSError, ValueError):  # the other end is closed, or this one was
            self.stop.set()

    def report(self, fraction: float) -> None:
        permille = int(1000 * fraction)
        if permille != self._shown:  # a step may last less than a millisecond
            self._shown = permille
            self.send("progress", fraction=round(fraction, 4))

    def info(self, text: str | Message) -> None:
        self.send("info", **text_parts(text))

    def warn(self, text: str | Message) -> None:
        self.send("warn", **text_parts(text))

    @property
    def cancelled(self) -> bool:
        return self.stop.is_set()


def serve(task: str, request: Path) -> int:
    """Do a task for the process at the other end of the standard streams; the exit status."""
    progress = EventProgress(_claim_output())
    progress.send("start", python=sys.version)  # this far every interpreter comes that can train
    threading.Thread(target=_listen, args=(progress.stop,), daemon=True).start()
    try:
        values = perform(task, read_request(request), progress)
    except ScasNetError as error:
        progress.send("error", **error_parts(error))
        return 1
    progress.send("result", values=values)
    return 0


def _claim_output() -> TextIO:
    """Standard output for events alone: whatever else is printed goes to standard error."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def _listen(stop: threading.Event) -> None:
    """Set ``stop`` on any line from the other process, and when that process is gone.

    Nothing blocks in a read: on Windows that would hold up the loading of libraries, and
    elsewhere the end of the interpreter.
    """
    while not stop.is_set():
        if _something_to_read():
            stop.set()
        time.sleep(_LOOK_EVERY)


def _something_to_read() -> bool:
    """Whether standard input holds a line or has come to its end."""
    if sys.platform != "win32":
        return bool(select.select([0], [], [], 0)[0])
    import _winapi
    import msvcrt

    try:
        return _winapi.PeekNamedPipe(msvcrt.get_osfhandle(0), 0)[0] > 0
    except OSError:  # a broken pipe: its other end is closed
        return True


def read_request(path: Path) -> dict[str, Any]:
    """The task's settings from a JSON file; raises SettingError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
        reason = type(values).__name__
    except (OSError, ValueError) as error:
        reason = str(error)
    text = translate("ScasNet", "{path} cannot be read as settings: it must be a JSON object.")
    raise SettingError(text, reason, path=path)


def perform(task: str, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do a task; whatever goes wrong comes out as a ScasNetError."""
    missing = missing_packages(task)
    if missing:
        raise _without(", ".join(missing))
    try:
        return task_function(task)(request, progress)
    except ScasNetError:
        raise
    except Exception as error:
        raise _explained(error) from error


def _explained(error: Exception) -> ScasNetError:
    """A sentence for an error that nothing below could know of."""
    detail, text = traceback.format_exc(), str(error).lower()
    if isinstance(error, ImportError) and not (error.name or "").startswith("scasnet_qgis"):
        module = (error.name or str(error)).split(".")[0]
        return _without(PACKAGES.get(module, module), detail)
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return TrainingError(
            translate(
                "ScasNet",
                "The memory is full: choose a smaller batch size or tile size, or the device cpu.",
            ),
            detail,
        )
    full = isinstance(error, OSError) and error.errno in _FULL
    if full or any(sign in text for sign in _NO_SPACE):
        return OutputError(
            translate("ScasNet", "The disk is full: free some space and run it again to resume."),
            detail,
        )
    return TrainingError(
        translate("ScasNet", "The training process failed ({kind}: {reason})."),
        detail,
        kind=type(error).__name__,
        reason=(str(error).splitlines() or [""])[0][:200],
    )


def _without(packages: str, detail: str = "") -> DependencyError:
    text = translate("ScasNet", "The Python {python} lacks {packages}.")
    return DependencyError(text, detail, python=sys.executable, packages=packages)
