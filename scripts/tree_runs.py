"""Algorithms run in a checkout through its own qgis_process, and the results kept by commit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess  # nosec B404
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

RECORD = ".scasnet"  # what the plugin appends to a map's name for the description of its run
_TIMEOUT = 1800.0  # seconds of one run
_POLL = 0.01  # seconds
_CHUNKS = 5  # new files in the hidden folder after which a run is killed


class TreeError(Exception):
    """A checkout cannot be used, or a run in it failed; says why."""


class Tree:
    """A checkout and the folder in which its results are kept.

    `name` is the path of a checkout, or the key of results that were kept earlier, which then are
    all that there is. A checkout that differs from its commit gets a key of its own.
    """

    def __init__(self, name: str, kept: Path) -> None:
        root = Path(name).absolute()
        self._root = root if (root / "scripts" / "qgis_process").is_file() else None
        self.key = name if self._root is None else _describe(self._root)
        self.results = kept / self.key
        if self._root is None and not self.results.is_dir():
            raise TreeError(f"{name} is neither a checkout nor the key of results in {kept}.")

    @property
    def root(self) -> Path:
        """The checkout; raises TreeError where there are only results."""
        if self._root is None:
            raise TreeError(f"{self.key} has not been measured in full, and its checkout is gone.")
        return self._root

    def run(self, algorithm: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Run an algorithm and return its results; raises TreeError with what QGIS said."""
        text = self.ask("--json", "run", f"scasnet:{algorithm}", "--", *_listed(parameters))
        return dict(_json_in(text)["results"])

    def ask(self, *arguments: str) -> str:
        """Run qgis_process and return what it prints."""
        done = subprocess.run(  # nosec B603
            [self.root / "scripts" / "qgis_process", *arguments],
            capture_output=True, text=True, timeout=_TIMEOUT, env=_environment(), check=False,
        )  # fmt: skip
        if done.returncode:
            raise TreeError(f"{self.key}: {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def help(self) -> dict[str, Any]:
        """For each algorithm what `help` says: as JSON, and as text, which has an order."""
        listed = _json_in(self.ask("--json", "list"))["providers"]["scasnet"]["algorithms"]
        return {
            name.partition(":")[2]: {
                "json": _json_in(self.ask("--json", "help", name)),
                "text": self.ask("help", name),
            }
            for name in listed
        }

    def kill(self, parameters: dict[str, str]) -> None:
        """Begin to map, and kill the process once it has kept a few rows of tiles.

        The plugin and QGIS have no say in it: SIGKILL goes to all processes of the run.
        """
        command: list[str | Path] = [
            self.root / "scripts" / "qgis_process",
            "run",
            "scasnet:segment",
            "--",
        ]
        output = Path(parameters["OUTPUT"])
        with tempfile.TemporaryDirectory(prefix="compare-trees-") as scratch:
            # What the killed wrapper leaves, such as its profile, goes with this folder.
            environment = {**_environment(), "TMPDIR": scratch}
            with subprocess.Popen(  # nosec B603
                [*command, *_listed(parameters)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment, start_new_session=True,
            ) as process:  # fmt: skip
                try:
                    _await_chunks(output, process)
                    over = process.poll() is not None
                finally:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
        if over:
            raise TreeError(f"{self.key}: the run was over before it could be killed.")

    def name_paths(self, folder: Path, pattern: str) -> None:
        """Copy texts in a folder to NAME.json, without the paths that tell checkouts apart."""
        for path in folder.glob(pattern):
            text = path.read_text(encoding="utf-8")
            text = text.replace(str(folder), "FOLDER").replace(str(self.root), "CHECKOUT")
            path.with_name(f"{path.name}.json").write_text(text, encoding="utf-8")


def _describe(root: Path) -> str:
    """The commit of a checkout, and a digest of what was changed since."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD").strip()
    changes = _git(root, "diff", "HEAD")
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    digest = hashlib.sha256(changes.encode())
    for name in filter(None, untracked.split("\0")):
        digest.update(name.encode() + (root / name).read_bytes())
    return f"{commit}-{digest.hexdigest()[:8]}" if changes or untracked else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(  # nosec B603 B607
        ["git", "-C", root, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TreeError(f"{root}: {done.stderr.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    # Qt orders the attributes of a style at random otherwise.
    return {**os.environ, "QT_HASH_SEED": "0"}


def _listed(parameters: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in parameters.items()]


def _json_in(text: str) -> Any:
    """The JSON document that QGIS prints, whatever stands before it."""
    return json.loads(text[text.index("{") :])


def _await_chunks(output: Path, process: subprocess.Popen[bytes]) -> None:
    hidden = output.with_name(f".{output.stem}.part-{output.suffix[1:]}")
    known = 0
    end = time.monotonic() + _TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        with suppress(FileNotFoundError):  # a folder in it was just removed
            files = len(list(hidden.rglob("*")))
            known = known or files
            if files >= known + _CHUNKS:
                return
        time.sleep(_POLL)


def empty(folder: Path) -> Path:
    """Make a folder that has nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
