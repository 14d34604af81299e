"""Runs tasks in a worker process, so that no crash and no lack of memory ends QGIS."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess  # nosec B404
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from scasnet_qgis import environment as dependencies
from scasnet_qgis import paths
from scasnet_qgis.common.errors import (
    Cancelled,
    DependencyError,
    ScasNetError,
    TrainingDependencyError,
    TrainingError,
)
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.training.worker.protocol import error_of, event_of, text_of

CANCEL_POLL_SECONDS = 0.1  # seconds between two looks at whether the user cancels
GRACE_SECONDS = 60.0  # seconds that a task has to end by itself
_KEPT_LINES = 60  # of what the process prints beside its events


def run_task(
    task: str, request: dict[str, Any], progress: Progress, *, grace_seconds: float = GRACE_SECONDS
) -> dict[str, Any]:
    """Do one of training.tasks.TASKS in the interpreter that has PyTorch; the task's results.

    A cancel asks the process to end, and ends it after ``grace_seconds`` seconds. What a task gives
    after a cancel is still its result. Raises the task's own ScasNetError, TrainingDependencyError
    where the interpreter cannot train, TrainingError where the process ended without a word.
    """
    with tempfile.TemporaryDirectory(prefix="scasnet-") as folder:
        settings = Path(folder) / "request.json"
        settings.write_text(json.dumps(request, default=os.fspath), encoding="utf-8")
        process = _Process(task, settings)
        try:
            outcome = _follow(process, progress, grace_seconds)
        finally:
            status = process.close()
    if outcome is not None and outcome["event"] == "result":
        return dict(outcome["values"])
    if outcome is not None:
        raise _error(outcome)
    if progress.cancelled:
        raise Cancelled
    if status >= 0 and not process.has_reported:
        text = translate(
            "ScasNet",
            "The Python for training, {python}, cannot run this plugin: choose a Python 3.9 or "
            "newer.",
        )
        python = dependencies.python_for_training()
        raise TrainingDependencyError(text, process.last_lines(), python=python)
    raise _crash_error(task, status, process.last_lines())


def _follow(process: _Process, progress: Progress, grace_seconds: float) -> dict[str, Any] | None:
    """Pass on what the process says until it ends; its last word, None where there is none."""
    outcome: dict[str, Any] | None = None
    deadline: float | None = None
    while True:
        event = process.next_event(CANCEL_POLL_SECONDS)
        if event is not None and event["event"] in ("result", "error"):
            outcome = event
        elif event is not None:
            _forward(event, progress)
        elif process.ended:
            return outcome
        if deadline is None and (outcome is not None or progress.cancelled):
            process.request_cancel()
            deadline = time.monotonic() + grace_seconds
        if deadline is not None and time.monotonic() > deadline:
            if outcome is None:
                text = translate(
                    "ScasNet",
                    "The training process did not end within {seconds:.0f} seconds and was "
                    "stopped: run the same again to continue from its last checkpoint.",
                )
                progress.warn(message(text, seconds=grace_seconds))
            return outcome


def _forward(event: dict[str, Any], progress: Progress) -> None:
    kind = event["event"]
    if kind == "progress":
        progress.report(float(event.get("fraction", 0.0)))
    elif kind == "info":
        progress.info(text_of(event))
    elif kind == "warn":
        progress.warn(text_of(event))


def _start(task: str, request: Path) -> subprocess.Popen[str]:
    """Start the worker; raises TrainingDependencyError where the interpreter does not start."""
    interpreter = dependencies.python_for_training()
    command = [interpreter, "-m", "scasnet_qgis.training.worker", task, "--request", str(request)]
    environment = {
        **dependencies.environment_for_training(),
        "PYTHONPATH": str(paths.PLUGIN.parent),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # by another version it would not serve QGIS
    }
    try:
        # No shell is involved, and the program is the user's own setting.
        return subprocess.Popen(  # nosec B603
            [*command, "--child"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A Ctrl+C on the terminal is for QGIS, which then asks this process to end.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise TrainingDependencyError(
            translate("ScasNet", "The Python {python}, which should train, does not start."),
            str(error),
            python=interpreter,
        ) from error


class _Process:
    """The process and the threads that read what it says."""

    def __init__(self, task: str, request: Path) -> None:
        self._process = _start(task, request)
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.has_reported = False
        self._printed: deque[str] = deque(maxlen=_KEPT_LINES)
        # Both streams have to be read all the time: a full one would stop the process.
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_events, self._process.stdout),
                (self._read_lines, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _read_events(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                event = event_of(line)
                if event is None:
                    self._printed.append(line)
                else:
                    self.has_reported = True
                    self._events.put(event)

    def _read_lines(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._printed.append(line)

    def next_event(self, seconds: float) -> dict[str, Any] | None:
        """The next event, None where there is none within ``seconds``."""
        with suppress(queue.Empty):
            return self._events.get(timeout=seconds)
        return None

    @property
    def ended(self) -> bool:
        """Whether the process is gone and all it said was read."""
        if self._process.poll() is None:
            return False
        # A process that it started itself may hold the stream open for ever.
        self._readers[0].join(1.0)
        return self._events.empty()

    def request_cancel(self) -> None:
        """A line on its standard input, and the end of it."""
        with suppress(OSError):  # it is gone already
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.write("cancel\n")
                self._process.stdin.close()

    def close(self) -> int:
        """End it if it still runs, and give its exit status: minus the signal that ended it."""
        self.request_cancel()
        if self._process.poll() is None:
            self._process.kill()
        status = self._process.wait()
        for reader in self._readers:
            reader.join(1.0)
        return status

    def last_lines(self) -> str:
        """The end of what it printed beside its events."""
        return "".join(self._printed).strip()


def _error(event: dict[str, Any]) -> ScasNetError:
    error = error_of(event)
    if isinstance(error, DependencyError):  # it is the other Python that lacks the package
        return TrainingDependencyError(
            error.message.template, error.detail, **dict(error.message.values)
        )
    return error


def _crash_error(task: str, status: int, detail: str) -> ScasNetError:
    """The error for a process that ended without a word."""
    text = translate(
        "ScasNet",
        "The process ended unexpectedly ({reason}): run it again, with other programs closed "
        "if memory was short.",
    )
    if task == "train":
        text = translate(
            "ScasNet",
            "The training process ended unexpectedly ({reason}): run it again to continue from"
            " its last checkpoint, with a smaller batch size or tile size if memory was short.",
        )
    return TrainingError(text, detail, reason=_exit_reason(status))


def _exit_reason(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
