"""Peak memory does not grow with the raster, whichever way it is large."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from osgeo import gdal, osr

from benchmarks.map_sections import GROWTH
from benchmarks.memory import growth, measure
from scasnet_qgis.common.model_card import PREFIX
from tests.models import tiny_models

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long
BYTES_LIMIT = 0.5  # bytes for each further pixel; a map that is held whole takes 1
MAP_ONE = """
import sys
from pathlib import Path
from benchmarks.measures import map_image
from benchmarks.memory import peak_megabytes
raster, target, model = map(Path, sys.argv[1:])
map_image(raster, target, model, device="cpu", threads=2)
print(peak_megabytes())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that costs next to nothing, so that large rasters are quick."""
    return cheap_model(tmp_path_factory.mktemp("model"))


def cheap_model(folder: Path, **more: str) -> Path:
    advice = {"tile_size": "512", "tiles_overlap": "1", **more}
    return tiny_models.pixelwise(folder / "tiny.onnx", bands=1, classes=2, metadata=advice)


def peak_bytes(rows: int, cols: int, model: Path, folder: Path) -> float:
    """Peak memory of a process that maps a raster of this size, a sparse file."""
    raster = folder / f"{rows}x{cols}.tif"
    options = ["TILED=YES", "SPARSE_OK=TRUE", "BIGTIFF=YES"]
    sparse = gdal.GetDriverByName("GTiff").Create(str(raster), cols, rows, 1, options=options)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32640)
    sparse.SetProjection(reference.ExportToWkt())
    sparse.SetGeoTransform((500000.0, 1.0, 0.0, 4000000.0, 0.0, -1.0))
    del sparse
    target = raster.with_name(f"map_{raster.name}")
    command = [sys.executable, "-c", MAP_ONE, str(raster), str(target), str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    dataset = gdal.Open(str(target))
    assert (dataset.RasterYSize, dataset.RasterXSize) == (rows, cols)
    return float(done.stdout.splitlines()[-1]) * 1024 * 1024


@pytest.mark.parametrize(
    ("small", "large"),
    [((500, 100_000), (500, 300_000)), ((100_000, 500), (300_000, 500))],
    ids=["wide", "tall"],
)
def test_larger_rasters_need_no_more(model, tmp_path, small, large):
    """The smaller of the two already fills a panel and GDAL's cache."""
    before, after = (peak_bytes(*size, model, tmp_path) for size in (small, large))
    added = large[0] * large[1] - small[0] * small[1]
    assert after - before < BYTES_LIMIT * added


def test_a_large_map_takes_hardly_more_than_a_small_one(tmp_path) -> None:
    """On an image, in tiles for which as much is reserved as for those of the shipped model."""
    advice = {"overlap": "32", "network": "VGG ScasNet", "width": "0.25"}
    card = {"tile_size": "512", **{PREFIX + key: value for key, value in advice.items()}}
    quick = tiny_models.pixelwise(tmp_path / "quick.onnx", bands=3, classes=5, metadata=card)
    results = [measure(rows, cols, quick) for rows, cols in ((2000, 2000), (1952, 9632))]
    assert growth(results) <= GROWTH


@pytest.mark.parametrize(
    ("small", "large", "metres"),
    [((500, 150_000), (500, 300_000), 5), ((100_000, 500), (250_000, 500), 20)],
    ids=["wide", "tall"],
)
def test_so_it_is_where_the_model_sees_larger_pixels(tmp_path, small, large, metres):
    """A pixel that it sees is 25 or 400 of the raster's, a tile 6 or 105 megapixels."""
    model = cheap_model(tmp_path, resolution=str(100 * metres))
    before, after = (peak_bytes(*size, model, tmp_path) for size in (small, large))
    added = large[0] * large[1] - small[0] * small[1]
    assert after - before < BYTES_LIMIT * added
