"""Does the peak memory grow with the raster? Maps rasters of several shapes, each in a process.

    build/venv/bin/python -m benchmarks.memory [--sizes 2000x2000 20000x20000] [--model FILE]

The rasters are virtual: they repeat the demo image. Prints rows, columns, peak resident memory in
megabytes (model, Python and GDAL's cache included) and seconds, a line of JSON for each raster.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from osgeo import gdal

from benchmarks.measures import map_image
from scasnet_qgis import paths

ROOT = Path(__file__).parent.parent
SIZES = ("2000x2000", "8000x2000", "20000x20000", "60000x1000", "1000x60000")


def repeated_image(target: Path, rows: int, cols: int, image: Path | None = None) -> Path:
    """A virtual raster [rows, cols] that repeats an image to the right and downwards."""
    source = str(image or paths.resources() / "demo" / "dubai.tif")
    dataset = gdal.Open(source)
    high, wide = dataset.RasterYSize, dataset.RasterXSize
    bands = []
    for band in (1, 2, 3):
        parts = [
            f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{wide}" ySize="{high}"/>'
            f'<DstRect xOff="{left}" yOff="{top}" xSize="{wide}" ySize="{high}"/></SimpleSource>'
            for top in range(0, rows, high)
            for left in range(0, cols, wide)
        ]
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}">{"".join(parts)}</VRTRasterBand>'
        )
    text = f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{"".join(bands)}</VRTDataset>'
    target.write_text(text, encoding="utf-8")
    return target


def peak_megabytes() -> float:
    """Largest resident memory of this process since it began (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM")


def measure_here(rows: int, cols: int, model: Path | None) -> dict[str, float]:
    """Map one raster in this process."""
    with tempfile.TemporaryDirectory() as folder:
        raster = repeated_image(Path(folder) / "raster.vrt", rows, cols)
        result = map_image(raster, Path(folder) / "map.tif", model)
    return {
        "rows": rows,
        "cols": cols,
        "peak_megabytes": round(peak_megabytes(), 1),
        "seconds": round(result.seconds, 1),
        "megapixels_per_second": round(result.megapixels_per_second, 3),
    }


def measure(rows: int, cols: int, model: Path | None = None) -> dict[str, float]:
    """Map one raster in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", f"{rows}x{cols}"]
    if model is not None:
        command += ["--model", str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line of JSON for each raster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="rows x columns")
    parser.add_argument("--one", help="measure one raster in this process")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    for size in [arguments.one] if arguments.one else arguments.sizes:
        rows, cols = map(int, size.split("x"))
        function = measure_here if arguments.one else measure
        print(json.dumps(function(rows, cols, arguments.model)), flush=True)


if __name__ == "__main__":
    main()
