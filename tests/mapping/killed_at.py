"""Runs that are killed at named places, perhaps with what a loss of power takes, and then repeated.

    python -m tests.mapping.killed_at REQUEST.json

Forks for each run. Prints a line of JSON: what was wrong, case by case; an empty list is well.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import ScasNetError
from tests.mapping.killing import ended_within, make, products_of, started

SECONDS = 60.0


def kill_before(place: str, call: int) -> None:
    """Kill this process before that call of ``module:function`` or ``module:Class.method``."""
    module, names = place.split(":")
    owner: Any = importlib.import_module(module)
    *classes, name = names.split(".")
    for attribute in classes:
        owner = getattr(owner, attribute)
    original, calls = getattr(owner, name), []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(owner, name, counted)


class Disk:
    """What is on the disk for good and what is not, noted by the process that is going to die.

    Files are told by their number, size and time; a file has its new name on the disk once
    the folder of that name was asked for.
    """

    def __init__(self, log: Path, stash: Path) -> None:
        self._log, self._stash, self._count = log, stash, 0
        stash.mkdir()
        self._fsync, self._replace = os.fsync, Path.replace
        os.fsync = self.fsync
        disk = self
        Path.replace = lambda path, target: disk.replace(path, Path(target))

    def _note(self, *entry: Any) -> None:
        with self._log.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def fsync(self, number: int) -> None:
        self._fsync(number)
        status = os.fstat(number)
        if Path(f"/proc/self/fd/{number}").resolve().is_dir():
            self._note("folder", str(Path(f"/proc/self/fd/{number}").resolve()))
        else:
            self._note("file", status.st_ino, status.st_size, status.st_mtime_ns)

    def replace(self, path: Path, target: Path) -> Path:
        old = ""
        if target.exists():
            self._count += 1
            old = str(self._stash / f"{self._count}")
            os.link(target, old)
        result = self._replace(path, target)
        self._note("name", str(path), str(target), old)
        return result


def lose(folder: Path, log: Path, loss: str) -> None:
    """Do to a folder what a loss of power may do to it, by what the process noted."""
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    safe = {tuple(item[1:]) for item in entries if item[0] == "file"}
    if loss in ("names", "some names"):
        _lose_names(entries, every=1 if loss == "names" else 2)
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        status = file.stat()
        if (status.st_ino, status.st_size, status.st_mtime_ns) not in safe:
            _damage(file, status.st_size, loss)


def _damage(file: Path, size: int, loss: str) -> None:
    if loss == "zeros":
        file.write_bytes(bytes(size))
    elif loss == "half":
        os.truncate(file, size // 2)
    else:
        os.truncate(file, 0)


def _lose_names(entries: list[list[Any]], every: int) -> None:
    """Take back changes of names that the disk was not asked to keep, the last one first."""
    waiting: list[list[Any]] = []
    for entry in entries:
        if entry[0] == "name":
            waiting.append(entry)
        elif entry[0] == "folder":
            waiting = [move for move in waiting if str(Path(move[2]).parent) != entry[1]]
    for _, source, target, old in waiting[::-1][::every]:
        if Path(target).exists() and Path(source).parent.is_dir():
            Path(target).rename(source)
            if old:
                Path(old).rename(target)


def begun(wanted: dict[str, Any], case: dict[str, Any], aside: Path) -> int:
    """The id of a process that makes a map and is killed at the place of the case."""
    child = os.fork()
    if child:
        return child
    try:
        if case.get("loss"):
            Disk(aside / "log", aside / "stash")
        kill_before(case["place"], case.get("call", 1))
        make(wanted)
    except ScasNetError:
        os._exit(3)
    finally:
        os._exit(2)


def faults_of(wanted: dict[str, Any], case: dict[str, Any], new: Any, old: Any) -> list[str]:
    """Kill, lose, look, repeat, compare."""
    folder = Path(wanted["output"]).parent
    aside = folder.parent / "aside"
    for directory in (folder, aside):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    if case.get("old"):
        for name in old:
            shutil.copy2(folder.parent / "old" / name, folder / name)
            with (folder / name).open("rb") as file:  # it has been there for long
                os.fsync(file.fileno())
    before = {path.stat().st_ino for path in folder.iterdir()}
    _, status = os.waitpid(begun(wanted, case, aside), 0)
    if not os.WIFSIGNALED(status):
        return ["the place was not reached"]
    if case.get("loss"):
        _protect(before, folder, aside / "log")
        lose(folder, aside / "log", case["loss"])
    found = _half(wanted, new, old)
    if not ended_within(started(wanted), SECONDS):
        return [*found, "the run that goes on failed"]
    if products_of(wanted) != new:
        found.append("the map of the run that goes on is another one")
    if any(path.is_dir() for path in folder.iterdir()):
        found.append("a work folder is left")
    return found


def _protect(inodes: set[int], folder: Path, log: Path) -> None:
    """Files of an earlier run are on the disk for long."""
    with log.open("a") as file:
        for path in folder.rglob("*"):
            status = path.stat()
            if status.st_ino in inodes:
                entry = ["file", status.st_ino, status.st_size, status.st_mtime_ns]
                file.write(json.dumps(entry) + "\n")


def _half(wanted: dict[str, Any], new: Any, old: Any) -> list[str]:
    """What is under a name now is whole: of the new run with all its side files, or the old one."""
    found = []
    for name in filter(None, (wanted["output"], wanted.get("probabilities"))):
        path = Path(name)
        if not path.exists():
            continue
        content = path.read_bytes()
        if content not in (new.get(path.name), old.get(path.name)):
            found.append(f"{path.name} is neither the new nor the old one")
        elif content == new[path.name]:
            there = products_of(wanted)
            sides = [name for name in new if name.startswith(path.stem)]
            found += [f"{side} is missing" for side in sides if there.get(side) != new[side]]
    return found


def main(wanted: dict[str, Any]) -> dict[str, list[str]]:
    folder = Path(wanted["output"]).parent
    earlier = {**wanted, "settings": {**wanted["settings"], "min_confidence": 0.3}}
    made = []
    for values in (wanted, earlier):
        folder.mkdir(exist_ok=True)
        if not ended_within(started(values), SECONDS):
            raise RuntimeError("an uninterrupted run failed")
        made.append(products_of(values))
        if values is earlier:
            shutil.copytree(folder, folder.parent / "old")
        shutil.rmtree(folder)
    if made[0] == made[1]:
        raise RuntimeError("the old map is the same as the new one")
    return {case["name"]: faults_of(wanted, case, *made) for case in wanted["cases"]}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
