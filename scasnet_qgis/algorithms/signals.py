"""Ctrl+C and kill on the command line cancel a run, so that it can clean up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qgis.core import QgsProcessingFeedback

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
