"""Whether a file can be written, and what to tell the user where it cannot. Needs no GDAL."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import translate

_OTHERWISE = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.ENOENT)  # no other program's fault


def check_target(path: Path) -> None:
    """Raise OutputError where no file can be written under this name."""
    if not path.parent.is_dir():
        raise OutputError(
            translate("ScasNet", "Folder {parent} does not exist: create it first."),
            parent=path.parent,
        )
    check_no_folder(path)
    if not os.access(path.parent, os.W_OK):
        raise cannot_write(path)


def check_ending(path: Path, ending: str) -> None:
    """Raise OutputError for a name with another ending."""
    if path.suffix.lower() != ending:
        raise OutputError(
            translate("ScasNet", "{name} must end in {ending}: choose another name."),
            name=path.name or str(path),
            ending=ending,
        )


def check_no_folder(path: Path) -> None:
    """Raise OutputError where a folder has this name, which no file replaces."""
    if path.is_dir():
        raise OutputError(
            translate("ScasNet", "{output} is a folder: choose another name."), output=path
        )


def check_replaceable(path: Path) -> None:
    """Raise OutputError where another program holds the file (Windows), now and not after a run."""
    if not path.exists():
        return
    if not os.access(path, os.W_OK):
        raise cannot_write(path)
    try:
        path.replace(path)
    except OSError as error:
        raise in_use(path, error) from error


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
            "{output} cannot be written: close the program that has it open, or choose a "
            "folder with write permission and enough free space.",
        ),
        str(error or ""),
        output=output,
    )


def folder_removed(folder: Path) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "The folder {folder} was removed during the run: run again, and keep the folder until "
            "the run ends.",
        ),
        folder=folder,
    )


def failed(path: Path, error: object) -> OutputError:
    """A file cannot be written to its end."""
    return OutputError(
        translate(
            "ScasNet",
            "Writing {name} failed: the disk may be full or the folder missing; free some "
            "space or choose another folder.",
        ),
        str(error),
        name=path.name,
    )
