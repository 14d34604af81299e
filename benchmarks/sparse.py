"""How long a run takes over an enormous raster in which nearly nothing is stored.

``python -m benchmarks.sparse 200000`` makes such a raster, maps it and prints the seconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.mapping import MapRequest, make_map
from scasnet_qgis.models.onnx_file import inspect

ISLAND = 300  # pixels each way


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


def main(side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "raster.tif", Path(folder) / "map.tif"
        make_raster(source, side)
        request = MapRequest(str(source), inspect(paths.default_model()), target)
        began, worked = time.monotonic(), time.process_time()
        result = make_map(request, Progress(), lambda _path, _classes: None)
        seconds, cpu = time.monotonic() - began, time.process_time() - worked
        print(
            f"{side} x {side} pixels: {result.plan.count} tiles, {result.report.computed_tiles} of "
            f"them computed, {seconds:.1f} s, {cpu:.1f} s of processor time"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
