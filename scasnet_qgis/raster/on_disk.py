"""fsync of files and folders."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file systems answer that know no such request for a folder.
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM)


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
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
