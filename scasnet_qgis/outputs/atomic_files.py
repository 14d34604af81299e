"""Files other than rasters, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.file_errors import cannot_write, check_no_folder, check_target
from scasnet_qgis.common.messages import translate


def check_targets(targets: Sequence[Path], inputs: Sequence[str]) -> None:
    """Raise OutputError where a file cannot be written, is given twice, or is an input."""
    for index, target in enumerate(targets):
        check_target(target)
        if any(_same(target, Path(name)) for name in inputs):
            raise OutputError(
                translate("ScasNet", "Output {output} is also an input: choose another name."),
                output=target,
            )
        if any(_same(target, other) for other in targets[:index]):
            raise OutputError(
                translate("ScasNet", "Two outputs have the name {output}: choose different names."),
                output=target,
            )


def _same(first: Path, second: Path) -> bool:
    with suppress(OSError, ValueError):  # one does not exist, or is no file's name
        if first.samefile(second):
            return True
    return first.absolute() == second.absolute()


@contextmanager
def atomic_files(targets: Sequence[Path]) -> Iterator[Mapping[Path, Path]]:
    """For each target the path to write to; all take their names when the block is left well.

    What is written beside such a path (the parts of a shapefile) comes along. If anything fails,
    older files stay as they were; an OSError becomes an OutputError. A folder is never replaced.
    """
    folders: dict[Path, Path] = {}
    target = targets[0] if targets else Path()
    try:
        for target in targets:
            check_no_folder(target)
            prefix = f".{target.stem}.part-{os.getpid()}-"
            folders[target] = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        yield {target: folder / target.name for target, folder in folders.items()}
        _publish(folders)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


def _publish(folders: Mapping[Path, Path]) -> None:
    """Move the files to their names; older ones are put aside and come back if anything fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for target, folder in folders.items():
            working = folder / target.name
            others = sorted(path for path in folder.iterdir() if path != working)
            aside = folder / "old"
            aside.mkdir()
            for source in (*others, working):
                place = target.with_name(source.name)
                check_no_folder(place)
                moves = [(place, aside / place.name)] if place.exists() else []
                for old, new in (*moves, (source, place)):
                    old.replace(new)
                    done.append((old, new))
    except (OSError, OutputError):
        for old, new in reversed(done):
            with suppress(OSError):
                new.replace(old)
        raise
