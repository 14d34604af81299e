"""Checks that input files do not change while a run reads them."""

from __future__ import annotations

from collections.abc import Callable

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.outputs.provenance.fingerprint import (
    Check,
    Fingerprint,
    Fingerprints,
    fingerprint,
    status_of,
)

Same = Callable[[Fingerprint], bool]


class InputGuard:
    """The files of a raster or a layer, looked at again and again while they are read.

    ``same`` says of one that has another size or time now whether its content is the same all the
    same. ``gone`` are files that were removed, ``unverified`` those that were too large to be sure.
    """

    def __init__(self, files: Fingerprints, same: Same) -> None:
        self._files, self._same = files, same
        self._accepted: dict[str, tuple[int | None, int | None]] = {}
        self.gone: list[str] = []
        self.unverified: list[str] = []

    def check(self) -> None:
        """Raise InputError where a file has another content than at the beginning.

        What was read before a check that raises nothing is of one and the same state. A file that
        was removed has no other content: as long as it can be read, it is what it was.
        """
        for file in self._files.changed():
            status = status_of(file.path)[:2]
            if self._accepted.get(file.path) == status:
                continue
            if status[0] is None:
                self.gone.append(file.path)
            elif not self._same(file):
                raise InputError(
                    translate("ScasNet", "{path} was changed during the run: run again."),
                    path=file.path,
                )
            elif file.parts:
                self.unverified.append(file.path)
            self._accepted[file.path] = status


def same_content(check: Check) -> Same:
    """By size and SHA-256, of large files by that of their parts; ``check`` may raise Cancelled."""

    def same(before: Fingerprint) -> bool:
        now = fingerprint(before.path, check, before.parts)
        return (now.size, now.sha256) == (before.size, before.sha256)

    return same
