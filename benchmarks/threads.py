"""How does the speed grow with the processors?

    build/venv/bin/python -m benchmarks.threads [--size 5000x5000] [--repeats 3] [--cores 1 2 4]

A run may use the first so many processors of the computer and no other one (Linux), so that
reading, blending and writing share them with the model. Prints a JSON object by their number.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import run_fresh, spread
from benchmarks.rasters import SIZE, mosaic, size_of
from scasnet_qgis import paths
from scasnet_qgis.models.backend import processors

ALL_UP_TO = 4  # from there on every doubling


def counts(cores: int) -> list[int]:
    """Numbers of processors to measure: 1, 2, 3, 4, 8, 16 ... and all of them."""
    doubled = [2**power for power in range(3, cores.bit_length()) if 2**power < cores]
    return sorted({*range(1, min(cores, ALL_UP_TO) + 1), *doubled, cores})


def measure_here(cores: int, **values: Any) -> dict[str, Any]:
    """Map one raster in this process, on the first ``cores`` processors."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from benchmarks.contenders import ours

    return ours(**values)


def measure_threads(
    size: tuple[int, int] = SIZE, repeats: int = 3, cores: Sequence[int] = ()
) -> dict[str, Any]:
    """Megapixels of the map a second, by number of processors."""
    wanted = list(cores) or counts(processors())
    runs: dict[int, list[dict[str, Any]]] = {count: [] for count in wanted}
    with tempfile.TemporaryDirectory() as folder:
        values = {
            "raster": mosaic(Path(folder) / "image.tif", *size),
            "model": paths.default_model(),
        }
        for _ in range(repeats):
            for count in wanted:
                done = run_fresh("benchmarks.threads:measure_here", cores=count, **values)
                runs[count].append(done)
    by_count = {
        str(count): {
            "speed": spread(run["delivered"] / run["seconds"] / 1e6 for run in found),
            "peak_megabytes": max(run["peak_megabytes"] for run in found),
        }
        for count, found in runs.items()
    }
    return {"rows": size[0], "cols": size[1], "repeats": repeats, "cores": by_count}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default=SIZE, help="rows x columns")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[])
    arguments = parser.parse_args()
    print(json.dumps(measure_threads(arguments.size, arguments.repeats, arguments.cores), indent=1))


if __name__ == "__main__":
    main()
