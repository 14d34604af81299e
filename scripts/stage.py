"""Lays the plugin out in build/stage as QGIS and the plugin site want it."""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404
import sys
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
PACKAGE = "scasnet_qgis"
STAGE = ROOT / "build" / "stage"
STAGED_PACKAGE = STAGE / PACKAGE

_LRELEASE_NAMES = ("lrelease", "lrelease-qt5", "lrelease-qt6", "/usr/lib/qt5/bin/lrelease")


def is_shipped(path: Path) -> bool:
    """Tell whether a path, relative to what is staged, belongs into the plugin."""
    # QGIS leaves an .aux.xml with statistics beside every raster that it opens.
    return not path.name.endswith((".pyc", ".aux.xml")) and not any(
        part.startswith(".") or part == "__pycache__" for part in path.parts
    )


def list_files(folder: Path) -> list[Path]:
    """Return the shipped files below a folder, relative to it, in a fixed order."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if is_shipped(path))


def map_sources() -> dict[Path, Path]:
    """Map each place in the staged package to the file of the checkout that belongs there."""
    sources = {path: ROOT / PACKAGE / path for path in list_files(ROOT / PACKAGE)}
    for path in list_files(ROOT / "resources"):
        sources[Path("resources", path)] = ROOT / "resources" / path
    for name in ("metadata.txt", "LICENSE"):
        sources[Path(name)] = ROOT / name
    return sources


def find_lrelease() -> str | None:
    """Return Qt's translation compiler, or None where it is not installed."""
    return next((found for name in _LRELEASE_NAMES if (found := shutil.which(name))), None)


def stage() -> Path:
    """Bring build/stage up to date and return the folder that holds the plugin."""
    if not (ROOT / PACKAGE / "__init__.py").is_file():
        raise FileNotFoundError(f"{ROOT / PACKAGE} is not there: run this from a whole checkout.")
    sources = map_sources()
    for place, source in sources.items():
        _copy_if_changed(source, STAGED_PACKAGE / place)
    translations = _compile_translations()
    _remove_leftovers(sources.keys() | translations)
    return STAGE


def _copy_if_changed(source: Path, target: Path) -> None:
    wanted = source.stat()
    try:
        present = target.stat()
        if (present.st_size, present.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns):
            return
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
    # Another QGIS may be reading the staged plugin, so a file changes in one step or not at all.
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, partial)
    partial.replace(target)


def _compile_translations() -> set[Path]:
    compiled = set()
    for source in sorted((ROOT / "i18n").glob("*.ts")):
        place = Path("i18n", source.with_suffix(".qm").name)
        target = STAGED_PACKAGE / place
        if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
            lrelease = find_lrelease()
            if lrelease is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([lrelease, "-silent", source, "-qm", target], check=True)  # nosec B603
        compiled.add(place)
    return compiled


def _remove_leftovers(kept: set[Path]) -> None:
    for path in list_files(STAGED_PACKAGE):
        if path not in kept:
            (STAGED_PACKAGE / path).unlink(missing_ok=True)
    # What is left of a removed package is compiled files, which could still be imported.
    folders = [path for path in STAGED_PACKAGE.rglob("*") if path.is_dir()]
    for folder in sorted(folders, reverse=True):
        if folder.name != "__pycache__" and not list_files(folder):
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Stage, and say where."""
    try:
        print(stage() / PACKAGE)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"stage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
