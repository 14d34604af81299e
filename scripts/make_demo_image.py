"""Makes the demo image from the data set that the shipped model was validated on.

    build/venv/bin/python scripts/make_demo_image.py DUBAI_FOLDER

The image is tile 5, part 8: no pixel of it was trained on. The data set states no position and no
ground resolution; the image gets a local metre grid with the estimate for its tile
(docs/development/data/dubai_tile_scales.csv).
"""

from __future__ import annotations

import sys
from pathlib import Path

from osgeo import gdal

METRES_PER_PIXEL = 1.05
LOCAL_GRID = 'LOCAL_CS["Local grid of a satellite image of Dubai",UNIT["metre",1]]'
TARGET = Path(__file__).parent.parent / "resources" / "demo" / "dubai.tif"
LICENCE = (
    "Mohammed Bin Rashid Space Centre and Humans in the Loop, "
    "Semantic segmentation of aerial imagery, CC0"
)


def main() -> int:
    """Write the demo image."""
    gdal.UseExceptions()
    source = gdal.Open(str(Path(sys.argv[1]) / "images" / "tile5_part8.jpg"))
    right, top = source.RasterXSize * METRES_PER_PIXEL, source.RasterYSize * METRES_PER_PIXEL
    options = gdal.TranslateOptions(
        outputBounds=[0.0, top, right, 0.0],
        outputSRS=LOCAL_GRID,
        creationOptions=["COMPRESS=DEFLATE", "PREDICTOR=2", "ZLEVEL=9", "TILED=YES"],
        metadataOptions=[f"TIFFTAG_COPYRIGHT={LICENCE}"],
    )
    gdal.Translate(str(TARGET), source, options=options)
    print(f"{TARGET}: {source.RasterXSize} x {source.RasterYSize} pixels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
