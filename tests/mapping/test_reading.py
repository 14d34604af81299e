"""How often the image is read, by what the process really reads from its file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.outputs.provenance.fingerprint import PART, PARTS
from tests.models import tiny_models

ROOT = Path(__file__).parents[2]
SIZE = 4000  # pixels each way
COUNTERS = Path("/proc/self/io")
MAP_ONE = """
import sys
from pathlib import Path
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.models.model_file import inspect
from tests.map_settings import map_settings

def read_so_far():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])

raster, target, model = sys.argv[1:]
settings = map_settings(raster, inspect(model), Path(target), threads=2, tile_size=512, overlap=64)
make_map(settings, Progress(), lambda path, classes: None)  # whatever is imported is so by now
before = read_so_far()
make_map(settings, Progress(), lambda path, classes: None)
print(read_so_far() - before, Path(target).stat().st_size)
"""


@pytest.mark.skipif(not COUNTERS.exists(), reason="only Linux counts what a process reads")
@pytest.mark.parametrize(
    "layout",
    [["TILED=YES"], ["TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512"], []],
    ids=["blocks", "large blocks", "strips"],
)
def test_each_block_of_the_image_is_read_once(layout: list[str], tmp_path: Path) -> None:
    """Though tiles overlap by an eighth, which makes 1.27 times the pixels."""
    raster, target = tmp_path / "image.tif", tmp_path / "map.tif"
    image = gdal.GetDriverByName("GTiff").Create(str(raster), SIZE, SIZE, 3, options=layout)
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE)).astype(np.uint8)
    for number in (1, 2, 3):
        image.GetRasterBand(number).WriteArray(ramp)
    del image
    model = tiny_models.pixelwise(tmp_path / "tiny.onnx", classes=2)
    command = [sys.executable, "-c", MAP_ONE, str(raster), str(target), str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    read, written = map(int, done.stdout.split()[-2:])
    size = raster.stat().st_size
    # Once more for the fingerprint beside the map; the model, and the map for its own.
    besides = size + 3 * model.stat().st_size + 4 * written
    assert size <= PARTS * PART, "of a larger file only parts would be read for the fingerprint"
    assert 2 * size < read < 1.05 * size + besides
