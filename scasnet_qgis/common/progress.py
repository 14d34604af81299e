"""Progress, log and cancelling of a long computation, as with a QgsFeedback."""

from __future__ import annotations

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.messages import Message


class Progress:
    """Reports nothing and is never cancelled; the QGIS layer and tests override what they need."""

    def report(self, fraction: float) -> None:
        """Report the share of the work that is done, from 0 to 1."""

    def info(self, text: str | Message) -> None:
        """Write a line to the user's log."""

    def warn(self, text: str | Message) -> None:
        """Write a warning to the user's log."""

    @property
    def cancelled(self) -> bool:
        """Whether the user wants the run to stop."""
        return False

    def check(self) -> None:
        """Raise Cancelled if the user wants the run to stop."""
        if self.cancelled:
            raise Cancelled


class Stage(Progress):
    """Progress of one step of a run: its 0 to 1 is ``start`` to ``end`` of the whole."""

    def __init__(self, whole: Progress, start: float, end: float) -> None:
        self._whole, self._start, self._end = whole, start, end

    def report(self, fraction: float) -> None:
        self._whole.report(self._start + (self._end - self._start) * min(max(fraction, 0.0), 1.0))

    def info(self, text: str | Message) -> None:
        self._whole.info(text)

    def warn(self, text: str | Message) -> None:
        self._whole.warn(text)

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled
