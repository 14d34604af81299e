"""The warnings of a run, kept for its record."""

from __future__ import annotations

from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress

MAX_WARNINGS = 100  # kept; further ones are only passed on


class WarningLog(Progress):
    """Passes everything on to ``progress``; keeps each of the ``warnings`` once, in English."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.warnings: list[str] = []

    def report(self, fraction: float) -> None:
        self._progress.report(fraction)

    def info(self, text: str | Message) -> None:
        self._progress.info(text)

    def warn(self, text: str | Message) -> None:
        if str(text) not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(str(text))
        self._progress.warn(text)

    @property
    def cancelled(self) -> bool:
        return self._progress.cancelled
