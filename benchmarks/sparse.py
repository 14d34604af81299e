"""How long a run takes over an enormous raster in which nearly nothing is stored.

    build/venv/bin/python -m benchmarks.sparse [--sides 20000 200000]

Square rasters with a nodata value that hold two islands of pixels. Prints a JSON object by side.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal

from benchmarks.child import run_fresh

ISLAND = 300  # pixels each way
SIDES = (20_000, 200_000)


def make_raster(path: Path, side: int) -> None:
    """Three bands of ``side`` x ``side`` pixels without data, but for two islands."""
    options = ["SPARSE_OK=TRUE", "TILED=YES", "BIGTIFF=YES", "COMPRESS=DEFLATE"]
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 3, options=options)
    dataset.SetGeoTransform((0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    island = np.random.default_rng(0).integers(1, 255, (ISLAND, ISLAND)).astype(np.uint8)
    for number in (1, 2, 3):
        dataset.GetRasterBand(number).SetNoDataValue(0)
        for place in ((side // 2, side // 2), (side // 7, side // 5)):
            dataset.GetRasterBand(number).WriteArray(island, *place)


def measure_here(side: int) -> dict[str, Any]:
    """Map one raster in this process."""
    from benchmarks.measures import map_image

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "raster.tif"
        make_raster(source, side)
        began = time.process_time()
        result = map_image(source, Path(folder) / "map.tif")
    return {
        "tiles": result.plan.count,
        "computed": result.report.computed_tiles,
        "seconds": round(result.seconds, 1),
        "processor_seconds": round(time.process_time() - began, 1),
    }


def measure_sparse(sides: Sequence[int] = SIDES) -> dict[str, Any]:
    """Each raster in a process of its own."""
    return {str(side): run_fresh("benchmarks.sparse:measure_here", side=side) for side in sides}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", nargs="+", type=int, default=SIDES, help="pixels each way")
    print(json.dumps(measure_sparse(parser.parse_args().sides), indent=1))


if __name__ == "__main__":
    main()
