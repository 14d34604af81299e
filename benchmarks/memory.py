"""Does the peak memory grow with the raster? Maps rasters of several shapes, each in a process.

    build/venv/bin/python -m benchmarks.memory [--sizes 2000x2000 20000x20000] [--model FILE]

The rasters are virtual: they repeat the demo image. Prints rows, columns, peak resident memory in
megabytes (model, Python and GDAL's cache included) and how many pixels were computed for each of
the map, a line of JSON for each raster. Another load on the computer does not change these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.child import peak_megabytes, run_fresh
from benchmarks.measures import map_image
from benchmarks.rasters import repeated_image, size_of

__all__ = ["SIZES", "growth", "measure", "peak_megabytes", "repeated_image"]

# The one that takes a quarter of an hour comes last.
SIZES = ("2000x2000", "5000x5000", "10000x10000", "100000x1000", "1000x100000", "40000x40000")


def measure_here(rows: int, cols: int, model: str = "") -> dict[str, Any]:
    """Map one raster in this process."""
    with tempfile.TemporaryDirectory() as folder:
        raster = repeated_image(Path(folder) / "raster.vrt", rows, cols)
        target = Path(folder) / "map.tif"
        result = map_image(raster, target, Path(model) if model else None)
    return {
        "rows": rows,
        "cols": cols,
        "computed_per_delivered": round(result.plan.computed_pixels / rows / cols, 3),
    }


def measure(rows: int, cols: int, model: Path | None = None) -> dict[str, Any]:
    """Map one raster in a process of its own."""
    values = {"rows": rows, "cols": cols, "model": model or ""}
    return run_fresh("benchmarks.memory:measure_here", **values)


def growth(results: list[dict[str, Any]]) -> float:
    """The largest peak over the smallest; 1 means that memory knows nothing of the raster."""
    peaks = [run["peak_megabytes"] for run in results]
    return max(peaks) / min(peaks)


def main() -> None:
    """Print a line of JSON for each raster, and the growth from the smallest to the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="rows x columns")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    results = []
    for size in arguments.sizes:
        results.append(measure(*size_of(size), arguments.model))
        print(json.dumps(results[-1]), flush=True)
    print(json.dumps({"largest_over_smallest": round(growth(results), 3)}))


if __name__ == "__main__":
    main()
