"""The rasters that are mapped: real images side by side, as large as a measurement needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr

from benchmarks.measures import validation_images
from scasnet_qgis import paths

SIZE = (5000, 5000)  # rows, columns of what speeds are measured on
BLOCK = 256
# Metres; what the shipped model was trained at, and no finer than the middle of it, because
# GeoDeep maps a raster that is finer than its model at half the resolution.
PIXEL = 1.06


def mosaic(target: Path, rows: int, cols: int) -> Path:
    """A GeoTIFF [3, rows, cols] of the validation images, each repeated to the right in its turn.

    In blocks and not compressed: whoever reads while nothing is computed loses least by that.
    """
    options = ["TILED=YES", f"BLOCKXSIZE={BLOCK}", f"BLOCKYSIZE={BLOCK}", "PHOTOMETRIC=RGB"]
    file = gdal.GetDriverByName("GTiff").Create(str(target), cols, rows, 3, options=options)
    file.SetGeoTransform((300_000, PIXEL, 0, 2_800_000, 0, -PIXEL))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32640)
    file.SetProjection(system.ExportToWkt())
    images = [path for path, _ in validation_images()]
    top = turn = 0
    while top < rows:
        image = gdal.Open(str(images[turn % len(images)])).ReadAsArray()[:, : rows - top]
        strip = np.tile(image, (1, 1, -(-cols // image.shape[2])))[:, :, :cols]
        file.WriteArray(strip, 0, top)
        top, turn = top + image.shape[1], turn + 1
    file.FlushCache()
    return target


def repeated_image(target: Path, rows: int, cols: int, image: Path | None = None) -> Path:
    """A virtual raster [rows, cols] that repeats an image to the right and downwards.

    To the right in a file of its own, which is then repeated downwards: one file with an entry for
    each copy would itself take megabytes once it is open.
    """
    source = image or paths.resources() / "demo" / "dubai.tif"
    dataset = gdal.Open(str(source))
    high, wide = dataset.RasterYSize, dataset.RasterXSize
    strip = target.with_name(f"{target.stem}_strip.vrt")
    _copies(strip, (high, cols), source, (high, wide), [(0, at) for at in range(0, cols, wide)])
    tops = [(at, 0) for at in range(0, rows, high)]
    return _copies(target, (rows, cols), strip, (high, cols), tops)


def _copies(
    target: Path,
    size: tuple[int, int],
    source: Path,
    part: tuple[int, int],
    places: list[tuple[int, int]],
) -> Path:
    """A virtual raster of ``size`` with a copy of the ``part`` of a source (rows, columns) at each
    of ``places`` (row, column)."""
    window = f'xSize="{part[1]}" ySize="{part[0]}"'
    bands = []
    for band in (1, 2, 3):
        parts = [
            f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" {window}/>'
            f'<DstRect xOff="{left}" yOff="{top}" {window}/></SimpleSource>'
            for top, left in places
        ]
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}">{"".join(parts)}</VRTRasterBand>'
        )
    text = (
        f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}">{"".join(bands)}</VRTDataset>'
    )
    target.write_text(text, encoding="utf-8")
    return target


def size_of(text: str) -> tuple[int, int]:
    """Rows and columns of a text such as 5000x4000."""
    rows, cols = map(int, text.split("x"))
    return rows, cols
