"""Progress that keeps the warnings of a run, for its description."""

from __future__ import annotations

from scasnet_qgis.core.messages import Message
from scasnet_qgis.core.progress import Progress

MOST = 100  # warnings that are kept


class Remembering(Progress):
    """Passes everything on; ``warnings`` are kept in English, each once."""

    def __init__(self, whole: Progress) -> None:
        self._whole = whole
        self.warnings: list[str] = []

    def report(self, fraction: float) -> None:
        self._whole.report(fraction)

    def info(self, text: str | Message) -> None:
        self._whole.info(text)

    def warn(self, text: str | Message) -> None:
        if str(text) not in self.warnings and len(self.warnings) < MOST:
            self.warnings.append(str(text))
        self._whole.warn(text)

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled
