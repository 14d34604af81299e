"""Whole or nothing: a file takes its name only when it and its side files are complete."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scasnet_qgis.core.errors import OutputError
from scasnet_qgis.core.messages import translate

ENDINGS = (".tif", ".tiff")
SIDE_FILES = (".aux.xml", ".ovr", ".msk")  # appended to the full name


class Delivery:
    """A hidden work folder beside an output file.

    Everything is written to ``working``; ``publish`` gives it its name, ``discard`` leaves no
    trace. What a killed run left for the same output is removed. Raises OutputError where the
    output's folder cannot be written.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        check_output(output)
        _remove_remains(output)
        try:
            self.folder = Path(
                tempfile.mkdtemp(prefix=f"{_prefix(output)}{os.getpid()}-", dir=output.parent)
            )
        except OSError as error:
            raise _cannot_write(output, error) from error
        self.working = self.folder / output.name

    def publish(self) -> None:
        """Give the finished files their names, or change nothing."""
        publish([self])

    def discard(self) -> None:
        """Remove the work folder and what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def publish(deliveries: Sequence[Delivery]) -> None:
    """Give the finished files of all deliveries their names, or change nothing.

    Older maps of the same names are put aside first and come back if anything fails. Side files
    go before their raster, so that a raster under its name has all of them.
    """
    moves: list[tuple[Path, Path]] = []
    for each in deliveries:
        aside = each.folder / "old"
        olds = [old for old in (each.output, *side_files(each.output)) if old.exists()]
        moves += [(old, aside / old.name) for old in olds]
    for each in deliveries:
        files = sorted(file for file in each.folder.iterdir() if file != each.working)
        moves += [(file, each.output.with_name(file.name)) for file in (*files, each.working)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            target.parent.mkdir(exist_ok=True)
            source.replace(target)
            done.append((source, target))
    except OSError as error:
        for place, moved in reversed(done):
            with suppress(OSError):
                moved.replace(place)
        raise _in_use(target, error) from error
    finally:
        for each in deliveries:
            each.discard()


def _prefix(output: Path) -> str:
    return f".{output.stem}.part-{socket.gethostname()}-"


def _remove_remains(output: Path) -> None:
    """Remove the work folders of runs on this computer that were killed."""
    if os.name != "posix":  # elsewhere there is no harmless way to ask whether a process lives
        return
    start = _prefix(output)
    for folder in output.parent.iterdir():
        owner = folder.name[len(start) :].split("-")[0]
        if folder.name.startswith(start) and owner.isdecimal() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def side_files(raster: Path) -> list[Path]:
    """The names of the files that may lie beside a raster and describe it."""
    appended = [raster.with_name(raster.name + ending) for ending in SIDE_FILES]
    return [*appended, raster.with_suffix(".qml")]


def check_output(output: Path) -> None:
    """Raise OutputError where a GeoTIFF cannot be written under this name."""
    if output.suffix.lower() not in ENDINGS:
        raise OutputError(
            translate(
                "ScasNet", "The output {name} must be a GeoTIFF: give it a name that ends in .tif."
            ),
            name=output.name,
        )
    if not output.parent.is_dir():
        raise OutputError(
            translate("ScasNet", "The folder {parent} does not exist: create it first."),
            parent=output.parent,
        )
    if output.is_dir():
        raise OutputError(
            translate(
                "ScasNet", "{output} cannot be written, it is a folder: choose another name."
            ),
            output=output,
        )
    if not os.access(output.parent, os.W_OK):
        raise _cannot_write(output)
    if output.exists():
        _check_replaceable(output)


def _check_replaceable(output: Path) -> None:
    """Find out before the run, not after it, that another program holds the file (Windows)."""
    if not os.access(output, os.W_OK):
        raise _cannot_write(output)
    try:
        output.replace(output)
    except OSError as error:
        raise _in_use(output, error) from error


def check_not_input(output: Path, inputs: Sequence[str]) -> None:
    """Raise OutputError where writing ``output`` would destroy or restyle an input.

    ``inputs`` are the files of the input raster, the raster itself first.
    """
    if any(_same_file(output, each) for each in inputs):
        raise OutputError(
            translate(
                "ScasNet", "The output {output} is a file of the input raster: choose another name."
            ),
            output=output,
        )
    source = Path(inputs[0])
    if source.with_suffix("").resolve() == output.with_suffix("").resolve():
        raise OutputError(
            translate(
                "ScasNet",
                "The output {name} has the name of the input image, which would get the style "
                "of the map: choose another name.",
            ),
            name=output.name,
        )


def _same_file(output: Path, name: str) -> bool:
    try:
        return output.samefile(name)
    except (OSError, ValueError):  # one of them does not exist, or is no file's name
        return False


def _in_use(output: Path, error: OSError) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "{output} cannot be replaced: remove the layer from the project or close the program "
            "that has it open, or choose another name.",
        ),
        str(error),
        output=output,
    )


def _cannot_write(output: Path, error: OSError | None = None) -> OutputError:
    return OutputError(
        translate(
            "ScasNet",
            "{output} cannot be written: choose a folder in which you may create files and that "
            "has room left.",
        ),
        str(error or ""),
        output=output,
    )
