"""Whole or nothing: a file takes its name only when it and its side files are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from scasnet_qgis.core.errors import OutputError

ENDINGS = (".tif", ".tiff")
SIDE_FILES = (".aux.xml", ".ovr", ".msk")  # appended to the full name


class Delivery:
    """A hidden work folder beside an output file.

    Everything is written to ``working``; ``publish`` moves the side files to their names first
    and the raster last, ``discard`` leaves no trace. Raises OutputError where the output's folder
    cannot be written.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        check_output(output)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=f".{output.stem}.part-", dir=output.parent))
        except OSError as error:
            raise OutputError(_cannot_write(output), str(error)) from error
        self.working = self.folder / output.name

    def publish(self) -> None:
        """Give the finished files their names; an older map of the same name goes first."""
        others = sorted(each for each in self.folder.iterdir() if each != self.working)
        places = [self.output.with_name(new.name) for new in others]
        try:
            self.output.unlink(missing_ok=True)
            for old in side_files(self.output):
                old.unlink(missing_ok=True)
            for new, place in zip(others, places):
                new.replace(place)
            self.working.replace(self.output)
        except OSError as error:
            if not self.output.exists():  # then nothing may lie there without it
                _remove(places)
            raise OutputError(_in_use(self.output), str(error)) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the work folder and what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def side_files(raster: Path) -> list[Path]:
    """The names of the files that may lie beside a raster and describe it."""
    appended = [raster.with_name(raster.name + ending) for ending in SIDE_FILES]
    return [*appended, raster.with_suffix(".qml")]


def _remove(files: list[Path]) -> None:
    for each in files:
        with suppress(OSError):
            each.unlink()


def check_output(output: Path) -> None:
    """Raise OutputError where a GeoTIFF cannot be written under this name."""
    if output.suffix.lower() not in ENDINGS:
        raise OutputError(
            f"The output {output.name} must be a GeoTIFF: give it a name that ends in .tif."
        )
    if not output.parent.is_dir():
        raise OutputError(f"The folder {output.parent} does not exist: create it first.")
    if not os.access(output.parent, os.W_OK) or output.is_dir():
        raise OutputError(_cannot_write(output))
    if output.exists():
        _check_replaceable(output)


def _check_replaceable(output: Path) -> None:
    """Find out before the run, not after it, that another program holds the file (Windows)."""
    if not os.access(output, os.W_OK):
        raise OutputError(_cannot_write(output))
    try:
        output.replace(output)
    except OSError as error:
        raise OutputError(_in_use(output), str(error)) from error


def _in_use(output: Path) -> str:
    return (
        f"{output} cannot be replaced: remove the layer from the project or close the program that "
        "has it open, or choose another name."
    )


def _cannot_write(output: Path) -> str:
    return (
        f"{output} cannot be written: choose a folder in which you may create files and that has "
        "room left."
    )
