"""Whole or nothing: a file takes its name only when it and its side files are complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Callable

from scasnet_qgis.common import file_errors
from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.outputs.provenance.run_record import RECORD_SUFFIX
from scasnet_qgis.outputs.work_folder import WorkFolder

ENDINGS = (".tif", ".tiff")
SIDE_FILES = (".aux.xml", ".ovr", ".msk", RECORD_SUFFIX)  # appended to the full name

Move = tuple[Path, Path]


class AtomicOutput:
    """An output file and the hidden work folder beside it, which one run at a time may have.

    Everything is written to ``working``, and what else lies in its ``folder`` is published with
    it; ``root`` holds the folder and what is not published. ``publish`` gives the files their
    names, ``discard`` leaves no trace, ``leave`` all but the unfinished files. Raises OutputError
    where the output's folder cannot be written or another run has the same output.
    """

    def __init__(self, output: Path) -> None:
        self.path = output
        check_output(output)
        try:
            self._work = WorkFolder(output)
        except OSError as error:
            raise file_errors.cannot_write(output, error) from error
        self.root = self._work.path
        self.folder, self.old = self.root / "new", self.root / "old"
        self.working = self.folder / output.name
        try:
            self._put_back()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
        except OSError as error:
            self._work.release()
            raise file_errors.cannot_write(output, error) from error

    def publish(self) -> None:
        """Give the finished files their names, or change nothing."""
        publish([self])

    def discard(self) -> None:
        """Remove the work folder and what is in it; may be called again.

        It stays if it holds an older map that cannot be put back: the next run tries again.
        """
        if self._work.held:
            try:
                self._put_back()
            except OSError:
                self.leave()
        self._work.remove()

    def leave(self) -> None:
        """Remove the unfinished files and let go of the work folder with what else is in it."""
        if self._work.held:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._work.release()

    def check(self) -> None:
        """Raise OutputError where the work folder is no longer there, or is another run's."""
        if not self._work.held:
            raise file_errors.folder_removed(self.root)

    def backup_moves(self) -> list[Move]:
        """The moves that make room for the new files."""
        olds = [old for old in (self.path, *side_files(self.path)) if old.exists()]
        return [(old, self.old / old.name) for old in olds]

    def publish_moves(self) -> list[Move]:
        """The moves that give the new files their names, the raster's last."""
        files = sorted(file for file in self.folder.iterdir() if file != self.working)
        return [(file, self.path.with_name(file.name)) for file in (*files, self.working)]

    @property
    def placing(self) -> Path:
        """A file that is there while new files take their names: the old ones are aside then."""
        return self.root / "placing"

    def mark_placing(self) -> None:
        """Say, once the old files are aside for good, that the new ones take their names."""
        for folder in (self.old, self.path.parent):
            if folder.is_dir():
                fsync_folder(folder)
        self.placing.touch()
        fsync_folder(self.root)

    def _put_back(self) -> None:
        """Undo what a killed run had begun to publish."""
        placing = self.placing.exists()
        if not (placing or self.old.exists()):
            return
        if not (placing and self.path.exists()):
            for new in side_files(self.path) if placing else ():
                new.unlink(missing_ok=True)
            olds = self.old.iterdir() if self.old.is_dir() else ()
            for old in sorted(olds, key=lambda path: path.name == self.path.name):
                old.replace(self.path.with_name(old.name))
            fsync_folder(self.path.parent)
        shutil.rmtree(self.old, ignore_errors=True)
        fsync_folder(self.root)  # without the mark, what is aside would come back
        self.placing.unlink(missing_ok=True)


def publish(outputs: Sequence[AtomicOutput]) -> None:
    """Give the finished files of all outputs their names, or change nothing.

    Older maps of the same names are put aside first and come back if anything fails. Side files
    go before their raster, so that a raster under its name has all of them. The work folders stay
    where it fails, and raises OutputError.
    """
    for output in outputs:
        output.check()
    done: list[Move] = []
    place = outputs[-1].path
    try:
        for source, place in _all(outputs, AtomicOutput.publish_moves):  # noqa: B007 (told below)
            fsync_file(source)
        for place, aside in _all(outputs, AtomicOutput.backup_moves):
            _move(place, aside, done)
        for output in outputs:
            output.mark_placing()
        for source, place in _all(outputs, AtomicOutput.publish_moves):
            if place in (output.path for output in outputs):
                fsync_folder(place.parent)  # its side files come first
            _move(source, place, done)
        for output in outputs:
            fsync_folder(output.path.parent)
    except OSError as error:
        _take_back(outputs, done)
        raise file_errors.not_placed(place, error) from error
    for output in outputs:
        output.discard()


def _all(
    outputs: Sequence[AtomicOutput], moves: Callable[[AtomicOutput], list[Move]]
) -> Iterator[Move]:
    for output in outputs:
        yield from moves(output)


def _take_back(outputs: Sequence[AtomicOutput], done: Sequence[Move]) -> None:
    """As far as that works; what stays aside is put back with the next run."""
    for place, moved in reversed(done):
        with suppress(OSError):
            moved.replace(place)
    for output in outputs:
        with suppress(OSError):
            output.placing.unlink(missing_ok=True)


def _move(source: Path, target: Path, done: list[Move]) -> None:
    target.parent.mkdir(exist_ok=True)
    source.replace(target)
    done.append((source, target))


def side_files(raster: Path) -> list[Path]:
    """The names of the files that may lie beside a raster and describe it."""
    appended = [raster.with_name(raster.name + ending) for ending in SIDE_FILES]
    return [*appended, raster.with_suffix(".qml")]


def check_output(output: Path) -> None:
    """Raise OutputError where a GeoTIFF cannot be written under this name."""
    if output.suffix.lower() not in ENDINGS:
        raise OutputError(
            translate(
                "ScasNet", "Output {name} must be a GeoTIFF: choose a name that ends in .tif."
            ),
            name=output.name,
        )
    file_errors.check_target(output)
    file_errors.check_replaceable(output)


def check_not_input(output: Path, inputs: Sequence[str]) -> None:
    """Raise OutputError where writing ``output`` would destroy or restyle an input.

    ``inputs`` are the files of the input raster, the raster itself first.
    """
    if any(_same_file(output, name) for name in inputs):
        raise OutputError(
            translate(
                "ScasNet", "Output {output} is a file of the input image: choose another name."
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


# What file systems answer that know no such request for a folder.
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM)


def fsync_file(file: Path) -> None:
    """Or a file could have its name but, after a loss of power, not its content; raises OSError."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def fsync_folder(folder: Path) -> None:
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
