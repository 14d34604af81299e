"""What to tell the user where a file cannot get its name."""

from __future__ import annotations

import errno
from pathlib import Path

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.core.messages import translate

_OTHERWISE = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.ENOENT)  # no other program's fault


def not_placed(output: Path, error: OSError) -> OutputError:
    """Another program has a file that is there; else the disk or the folder is to blame."""
    if error.errno in _OTHERWISE or not output.exists():
        return cannot_write(output, error)
    return in_use(output, error)


def in_use(output: Path, error: OSError) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "{output} cannot be replaced: remove the layer from the project or close the program "
            "that has it open, or choose another name.",
        ),
        str(error),
        output=output,
    )


def cannot_write(output: Path, error: OSError | None = None) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "{output} cannot be written: choose a folder in which you may create files and that "
            "has room left.",
        ),
        str(error or ""),
        output=output,
    )


def folder_removed(folder: Path) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "The folder {folder} was removed while the map was made in it: run again, and "
            "leave it until the map is there.",
        ),
        folder=folder,
    )
