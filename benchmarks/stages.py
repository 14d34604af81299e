"""Where does the time of a map go? Processor time by kind of thread, and of the model itself.

    build/venv/bin/python -m benchmarks.stages [--size 5000x5000] [--repeats 3]

Linux only: another thread looks again and again how much processor time each thread of the run has
used so far; what a thread uses between the last look and its end, at most LOOK seconds, is lost.
``session_run`` is the time inside ONNX Runtime, the CPU provider's own threads for it included only
where a session has more than one. Prints a JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.child import run_fresh, spread
from benchmarks.rasters import SIZE, mosaic, size_of
from scasnet_qgis import paths

LOOK = 0.02  # seconds
CALLER, NATIVE, WATCHER = "calling thread", "threads of the libraries", "watcher"
TASKS = Path("/proc/self/task")


class Watcher:
    """Keeps the processor seconds that each thread had used when it was last seen."""

    def __init__(self) -> None:
        self._used: dict[tuple[int, str], float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=WATCHER)

    def __enter__(self) -> Watcher:
        self._before = self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK):
            self._used.update(self._look())

    def _look(self) -> dict[tuple[int, str], float]:
        named = {thread.native_id: thread.name for thread in threading.enumerate()}
        found = {}
        for task in TASKS.iterdir():
            try:
                nanoseconds = (task / "schedstat").read_text(encoding="ascii").split()[0]
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            number = int(task.name)
            found[number, group_of(named.get(number, NATIVE))] = int(nanoseconds) / 1e9
        return found

    def seconds(self) -> dict[str, float]:
        """By group, what was used since the watch began; that of the watcher left out."""
        groups: dict[str, float] = {}
        for key, used in self._used.items():
            if key[1] != WATCHER:
                more = used - self._before.get(key, 0.0)
                groups[key[1]] = groups.get(key[1], 0.0) + more
        return groups


def group_of(name: str) -> str:
    """The name of a pool from that of one of its threads."""
    return CALLER if name == "MainThread" else re.sub(r"[-_ ]*\d+$", "", name)


class Stopwatch:
    """Makes the sessions that are opened from now on add up the time inside ``run``."""

    def __init__(self) -> None:
        import onnxruntime

        self.wall = self.processor = 0.0
        self.calls = 0
        lock, watch = threading.Lock(), self

        class Timed(onnxruntime.InferenceSession):
            def run(self, *arguments: Any, **named: Any) -> Any:
                began, used = time.perf_counter(), time.thread_time()
                try:
                    return super().run(*arguments, **named)
                finally:
                    with lock:
                        watch.wall += time.perf_counter() - began
                        watch.processor += time.thread_time() - used
                        watch.calls += 1

        onnxruntime.InferenceSession = Timed


def measure_here(raster: str, model: str) -> dict[str, Any]:
    """Map one raster in this process and watch it."""
    from benchmarks.measures import map_image

    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, Watcher() as watcher:
        result = map_image(Path(raster), Path(folder) / "map.tif", Path(model))
    return {
        "seconds": result.seconds,
        "tiles_seconds": result.report.seconds,
        "groups": watcher.seconds(),
        "session_run": stopwatch.processor,
        "session_run_wall": stopwatch.wall,
        "session_calls": stopwatch.calls,
        "provider": result.provider,
    }


def measure_stages(size: tuple[int, int] = SIZE, repeats: int = 3) -> dict[str, Any]:
    """The same raster several times; seconds by group as least, middle and largest."""
    with tempfile.TemporaryDirectory() as folder:
        raster = mosaic(Path(folder) / "image.tif", *size)
        values = {"raster": raster, "model": paths.default_model()}
        runs = [run_fresh("benchmarks.stages:measure_here", **values) for _ in range(repeats)]
    plain = ("seconds", "tiles_seconds", "session_run", "session_run_wall", "session_calls")
    names = dict.fromkeys(name for run in runs for name in run["groups"])
    return {
        "rows": size[0],
        "cols": size[1],
        "repeats": repeats,
        "provider": runs[0]["provider"],
        **{key: spread(run[key] for run in runs) for key in plain},
        "groups": {name: spread(_of_group(runs, name)) for name in names},
    }


def _of_group(runs: list[dict[str, Any]], name: str) -> Iterable[float]:
    return (run["groups"].get(name, 0.0) for run in runs)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default=SIZE, help="rows x columns")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure_stages(arguments.size, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
