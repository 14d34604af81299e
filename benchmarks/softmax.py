"""What the softmax at a model's end costs inside of ONNX Runtime, and in numpy.

    build/venv/bin/python -m benchmarks.softmax [--tile 488] [--repeats 15]

One thread computes one tile with the shipped model as it is in the file, without its softmax, and
without it but with numpy's, in turns. Prints a JSON object: milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Callable

import numpy as np

from benchmarks.child import run_fresh, spread
from scasnet_qgis import paths
from scasnet_qgis.models.open_end import without_softmax
from scasnet_qgis.models.runtime import CPU, open_session, quiet_options
from scasnet_qgis.models.scores import softmax
from scasnet_qgis.models.shapes import made_up_image

TILE = 488  # pixels; what a raster of 5,000 x 5,000 is cut into
FILE, OPEN, OURS = "as in the file", "without softmax", "without, and numpy's softmax"


def measure_here(tile: int, repeats: int) -> dict[str, Any]:
    """In this process; the two ways differ by ``difference`` at most."""
    model = paths.default_model()
    whole = open_session(model, [CPU], quiet_options())
    cut = open_session(model, [CPU], quiet_options(), without_softmax(model))
    feed = {whole.get_inputs()[0].name: made_up_image((1, 3, tile, tile)).astype(np.float32)}
    ways: dict[str, Callable[[], Any]] = {
        FILE: lambda: whole.run(None, feed)[0],
        OPEN: lambda: cut.run(None, feed)[0],
        OURS: lambda: softmax(cut.run(None, feed)[0]),
    }
    difference = float(np.abs(ways[FILE]() - ways[OURS]()).max())
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            found[name].append(1000 * (time.perf_counter() - started))
    return {"difference": difference, **{name: spread(each) for name, each in found.items()}}


def measure_softmax(tile: int = TILE, repeats: int = 15) -> dict[str, Any]:
    """In a process of its own; milliseconds a tile, and the largest difference of a score."""
    found = run_fresh("benchmarks.softmax:measure_here", tile=tile, repeats=repeats)
    ways = {name: found[name] for name in (FILE, OPEN, OURS)}
    return {"tile": tile, "repeats": repeats, "difference": found["difference"], "ways": ways}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tile", type=int, default=TILE, help="pixels each way")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    print(json.dumps(measure_softmax(arguments.tile, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
