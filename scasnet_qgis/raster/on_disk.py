"""The disk's word that something is there to stay, also after a loss of power."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file systems answer that know no such request for a folder.
_UNKNOWN = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM)


def file_to_disk(file: Path) -> None:
    """Or a file could have its name but, after a loss of power, not its content; raises OSError."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def folder_to_disk(folder: Path) -> None:
    """Let no later change of names in a folder outlive an earlier one; raises OSError.

    Nothing happens where the system opens no folders (Windows) or the file system knows no such
    request (some network drives).
    """
    if os.name != "posix":
        return
    try:
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
