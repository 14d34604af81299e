"""Runs that go on, so that they can be stopped and waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scasnet_qgis.core.errors import Cancelled, ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.models.runtime import run_options


class RunningCalls:
    """Knows the options of every run that goes on, whose ``terminate`` stops it."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._running: set[Any] = set()
        self._cancelled = self._closed = False

    @property
    def cancelled(self) -> bool:
        """Whether runs that end now were stopped."""
        return self._cancelled

    @contextmanager
    def one(self) -> Iterator[Any]:
        """The options of a run that goes on inside the with block.

        Raises Cancelled after ``cancel``, also for whatever a run that was stopped raises, and
        ModelError after ``close``.
        """
        options = run_options()
        with self._state:
            if self._cancelled:
                raise Cancelled
            if self._closed:
                raise ModelError(
                    translate("ScasNet", "The model was closed before the map was finished.")
                )
            self._running.add(options)
        try:
            yield options
        except Exception as error:
            if self._cancelled:
                raise Cancelled from error
            raise
        finally:
            with self._state:
                self._running.discard(options)
                self._state.notify_all()
        if self._cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Stop all runs; later ones raise Cancelled."""
        with self._state:
            self._stop()

    def close(self) -> None:
        """Stop what goes on and wait for it."""
        with self._state:
            if self._running:
                self._stop()
            self._state.wait_for(lambda: not self._running)
            self._closed = True

    def _stop(self) -> None:
        self._cancelled = True
        for options in self._running:
            options.terminate = True
