"""The hidden work folder of an output, locked for one run and found again by the next."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import translate

LOCK = "lock"
_LOCKED_ERRORS = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
_ATTEMPTS = 20  # the run that had the folder may just be removing it


def work_folder_of(output: Path) -> Path:
    """Where the work on an output lies as long as it is not finished."""
    return output.with_name(f".{output.stem}.part-{output.suffix[1:]}")


class WorkFolder:
    """The work folder of an output, for this run alone until it is removed or released.

    The operating system holds the lock, and lets go of it when the process dies, however it dies.
    Raises OutputError where another run has it, OSError where no folder can be made.
    """

    def __init__(self, output: Path) -> None:
        self.path = work_folder_of(output)
        self._lock: int | None = self._acquire(output)
        self._remove_leftovers()

    def _acquire(self, output: Path) -> int:
        for _ in range(_ATTEMPTS):
            self.path.mkdir(exist_ok=True)
            try:
                lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # removed in between
                continue
            if not _locked(lock):
                os.close(lock)
                raise _in_use(output)
            if self._is_there(lock):
                return lock
            os.close(lock)
        raise _in_use(output)

    def _is_there(self, lock: int) -> bool:
        """Whether the lock is that of the folder, and not of one that was removed meanwhile."""
        if os.name != "posix":  # elsewhere nothing can be removed or moved that is open
            return True
        try:
            return os.path.samestat(os.fstat(lock), (self.path / LOCK).stat())
        except OSError:  # it is gone, or out of reach
            return False

    @property
    def held(self) -> bool:
        """Whether the folder is this run's; if somebody removed it, it may be another one's now."""
        return self._lock is not None and self._is_there(self._lock)

    def remove(self) -> None:
        """Remove the folder and what is in it, if it is still this run's; may be called again."""
        if not self.held:
            self.release()
            return
        if os.name != "posix":  # elsewhere nothing can be moved that holds an open file
            self.release()
        # Under its name the folder may be another run's as soon as the lock is gone.
        removed = self.path.with_name(f"{self.path.name}-gone-{uuid.uuid4().hex[:8]}")
        try:
            self.path.replace(removed)
        except OSError:  # a file in it is open, on Windows: what can be removed is
            removed = self.path
        shutil.rmtree(removed, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let go of the folder and leave it to the next run."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)

    def _remove_leftovers(self) -> None:
        """Remove what runs left that were killed while they cleaned up."""
        pattern = f"{glob.escape(self.path.name)}-gone-*"
        with suppress(OSError):
            for path in self.path.parent.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)


if sys.platform == "win32":
    import msvcrt

    def _locked(file: int) -> bool:
        """Lock an open file; False where another one has it."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return error.errno not in _LOCKED_ERRORS
        return True

else:
    import fcntl

    def _locked(file: int) -> bool:
        """Lock an open file; False where another one has it.

        True as well where the file system knows no locks: better an unguarded run than none.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _LOCKED_ERRORS
        return True


def _in_use(output: Path) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "Another run is writing {output}: wait until it has finished, or choose another name.",
        ),
        output=output,
    )
