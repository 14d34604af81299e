"""Runs one measurement in a fresh process, so that no other one warms it up or fills its memory.

``run_fresh("benchmarks.contenders:ours", raster="image.tif")`` calls that function with these
values there and returns the JSON object it gives, with the peak memory of the process.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OPENVINO = ROOT / "build" / "openvino"  # where scripts/setup puts it, apart from everything else


def peak_megabytes() -> float:
    """Largest resident memory of this process since it began (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM")


def run_fresh(function: str, **values: Any) -> dict[str, Any]:
    """Call ``module:function`` in a process of its own; raises RuntimeError where that fails."""
    command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(values, default=str)]
    surroundings = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=surroundings, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{function} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(values: Iterable[float]) -> dict[str, float]:
    """Least, middle and largest of repeated measurements."""
    found = sorted(values)
    middle = statistics.median(found)
    return {"min": found[0], "median": middle, "max": found[-1]}


def shown(figures: dict[str, float], digits: int = 2) -> str:
    """A spread as text: min / median / max."""
    return " / ".join(f"{figures[key]:,.{digits}f}" for key in ("min", "median", "max"))


def main() -> None:
    """Call the function named on the command line and print what it gives as a line of JSON."""
    sys.path.append(str(OPENVINO))
    module, name = sys.argv[1].split(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
    print(json.dumps({**result, "peak_megabytes": round(peak_megabytes(), 1)}), flush=True)
    # Some libraries crash when they are unloaded in an unlucky order; nothing is left to be done.
    os._exit(0)


if __name__ == "__main__":
    main()
