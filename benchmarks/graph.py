"""What it brings on a processor that the model's graph is edited before it is opened.

    build/venv/bin/python -m benchmarks.graph [--tile 512] [--repeats 60]

One thread computes one tile with the shipped model as it is in the file, without its softmax,
and without it but with numpy's, in turns. Prints a JSON object: milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Callable

import numpy as np

from benchmarks.child import run_fresh, spread
from scasnet_qgis import paths
from scasnet_qgis.models.activations import softmax
from scasnet_qgis.models.cpu_graph import strip_softmax
from scasnet_qgis.models.model_file import probe_image
from scasnet_qgis.models.runtime import CPU, open_session, quiet_options

TILE = 512  # pixels
FILE, OPEN, NUMPY = "as in the file", "without softmax", "without, and numpy's softmax"


def measure_here(tile: int, repeats: int) -> dict[str, Any]:
    """In this process; no score differs by more than ``difference`` from the file's."""
    model = paths.default_model()
    whole = open_session(model, [CPU], quiet_options())
    opened = open_session(model, [CPU], quiet_options(), strip_softmax(model))
    feed = {whole.get_inputs()[0].name: probe_image((1, 3, tile, tile)).astype(np.float32)}
    ways: dict[str, Callable[[], Any]] = {
        FILE: lambda: whole.run(None, feed)[0],
        OPEN: lambda: opened.run(None, feed)[0],
        NUMPY: lambda: softmax(opened.run(None, feed)[0]),
    }
    scores = ways[FILE]()
    difference = float(np.abs(scores - ways[NUMPY]()).max())
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            found[name].append(1000 * (time.perf_counter() - started))
    return {
        "difference": difference,
        "ways": {name: spread(milliseconds) for name, milliseconds in found.items()},
    }


def measure_graph(tile: int = TILE, repeats: int = 60) -> dict[str, Any]:
    """In a process of its own; milliseconds a tile, and the largest difference of a score."""
    found = run_fresh("benchmarks.graph:measure_here", tile=tile, repeats=repeats)
    kept = {name: found[name] for name in ("difference", "ways")}
    return {"tile": tile, "repeats": repeats, **kept}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tile", type=int, default=TILE, help="pixels each way")
    parser.add_argument("--repeats", type=int, default=60)
    arguments = parser.parse_args()
    print(json.dumps(measure_graph(arguments.tile, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
