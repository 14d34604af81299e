"""Maps made by processes that are killed, again and again, until a map is whole.

    python -m tests.mapping.killing REQUEST.json

Forks for each try, so that nothing but the map itself takes time. Prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  (loaded once, before the first fork)
import onnxruntime  # noqa: F401

from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.outputs.provenance.run_record import from_text
from tests.map_settings import map_settings

OF_THIS_RUN = ("started", "ended", "seconds", "kept_of_an_interrupted_run", "tiles", "checksum")
KEPT = "Resuming an interrupted run"


class Slow(Progress):
    """Takes its time over each tile, and writes into a file what is said about going on."""

    def __init__(self, pause: float, log: Path) -> None:
        self._pause, self._log = pause, log

    def report(self, fraction: float) -> None:
        time.sleep(self._pause)

    def info(self, text: str | Message) -> None:
        if str(text).startswith(KEPT):
            with self._log.open("a") as file:
                file.write(f"{text}\n")


def make(wanted: dict[str, Any]) -> None:
    """One map, as ``wanted`` says."""
    mapping_plan.PANEL_BYTES = wanted.get("panel_bytes", mapping_plan.PANEL_BYTES)
    output = Path(wanted["output"])
    scores = wanted.get("probabilities")
    request = map_settings(
        wanted["source"],
        inspect(wanted["model"]),
        output,
        probabilities=Path(scores) if scores else None,
        threads=2,
        **wanted["settings"],
    )
    progress = Slow(wanted["pause"], Path(wanted["log"]))
    make_map(request, progress, lambda path, _: path.with_suffix(".qml").write_text("style"))


def started(wanted: dict[str, Any]) -> int:
    """The id of a process that makes the map."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        make(wanted)
        code = 0
    finally:
        os._exit(code)


def ended_within(child: int, seconds: float) -> bool:
    """Whether a process ends well in that time; it is killed if it does not end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"a run failed: {status}")
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status == 0


def products_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """The finished files by name; of the description all but what tells one run from another."""
    folder = Path(wanted["output"]).parent
    return {
        path.name: described(path) if path.suffix == ".scasnet" else path.read_bytes()
        for path in folder.iterdir()
        if path.is_file()
    }


def described(file: Path) -> dict[str, Any]:
    """A description without times, and without what this run did of the whole."""
    record = from_text(file.read_text(encoding="utf-8"))
    if not record.intact:
        raise RuntimeError(f"{file} is damaged")
    return {key: value for key, value in record.content.items() if key not in OF_THIS_RUN}


def main(wanted: dict[str, Any]) -> dict[str, Any]:
    """Kill so many runs; how often a map came out, and how often what was there was wrong."""
    output = Path(wanted["output"])
    before = time.monotonic()
    if not ended_within(started(wanted), 120):
        raise RuntimeError("the uninterrupted run takes too long")
    longest = time.monotonic() - before
    whole = products_of(wanted)
    moments = random.Random(wanted["seed"])
    kills = finished = wrong = 0
    last = False
    while not last:
        last = kills == wanted["kills"]
        moment = 120.0 if last else moments.uniform(0, longest * wanted["share"])
        if output.exists():  # what is there is whole, also if its run was killed just after
            wrong += products_of(wanted) != whole
            for file in output.parent.iterdir():
                if file.is_file():
                    file.unlink()
        if ended_within(started(wanted), moment):
            finished += 1
        else:
            kills += 1
    wrong += products_of(wanted) != whole
    left = sum(path.is_dir() for path in output.parent.iterdir())
    return {"kills": kills, "finished": finished, "wrong": wrong, "left": left}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
