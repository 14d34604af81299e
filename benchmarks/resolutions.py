"""What does it buy that an image is brought to the model's ground resolution while it is read?

    build/venv/bin/python -m benchmarks.resolutions

Takes the validation images, of about 1.05 m, to finer and coarser pixels, and maps each of them
with and without the tick of RESAMPLE. Maps are judged pixel by pixel against the labels, on the
finer of the two grids. What is finer than the image shows no more than it did.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, osr

from benchmarks.measures import labels_of, map_image, validation_images
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix

METRES = 1.05  # of a pixel of the validation images
SIZES = (METRES / 3, METRES / 1.5, METRES, METRES * 1.5, METRES * 2, METRES * 3)
CLASSES = 5


@dataclass(frozen=True)
class Outcome:
    """One way of mapping all scenes; ``seconds`` of the processors."""

    matrix: ConfusionMatrix
    seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.matrix + other.matrix, self.seconds + other.seconds)


def measure_resolutions(
    scenes: Sequence[tuple[Path, Path]], sizes: Sequence[float] = SIZES
) -> dict[str, dict[str, Outcome]]:
    """By ground resolution in metres: the outcome with the tick ("on") and without ("off").

    ``scenes`` are images and the files of their labels.
    """
    nothing = Outcome(ConfusionMatrix.empty(CLASSES))
    results = {f"{size:.3g}": {"on": nothing, "off": nothing} for size in sizes}
    with tempfile.TemporaryDirectory() as folder:
        scaled, target = Path(folder) / "image.tif", Path(folder) / "map.tif"
        for image, truth in scenes:
            labels = gdal.Open(str(truth)).ReadAsArray()
            for size in sizes:
                resample_image(image, size, scaled)
                for name, resample in (("on", True), ("off", False)):
                    before = time.process_time()
                    map_image(scaled, target, resample=resample)
                    used = time.process_time() - before
                    matrix = _judged(labels_of(target), labels)
                    results[f"{size:.3g}"][name] += Outcome(matrix, used)
    return results


def resample_image(image: Path, size: float, target: Path) -> None:
    """Write an image of METRES with pixels of ``size`` metres, smooth both ways."""
    dataset = gdal.Open(str(image))
    rows, cols = (
        round(pixels * METRES / size) for pixels in (dataset.RasterYSize, dataset.RasterXSize)
    )
    how = "average" if size > METRES else "cubic"
    small = gdal.Translate(
        "", dataset, format="MEM", width=cols, height=rows, resampleAlg=how, noData="none"
    )
    high, wide = dataset.RasterYSize * METRES / rows, dataset.RasterXSize * METRES / cols
    small.SetGeoTransform((0.0, wide, 0.0, dataset.RasterYSize * METRES, 0.0, -high))
    reference = osr.SpatialReference()
    reference.SetLocalCS("metres")
    reference.SetLinearUnits("metre", 1.0)
    small.SetProjection(reference.ExportToWkt())
    gdal.Translate(str(target), small, creationOptions=["TILED=YES"])


def _judged(found: NDArray[np.uint8], labels: NDArray[np.uint8]) -> ConfusionMatrix:
    """Both brought to the size of the larger one, pixel by pixel, without interpolation."""
    rows, cols = (max(a, b) for a, b in zip(found.shape, labels.shape))
    found, labels = _enlarged(found, rows, cols), _enlarged(labels, rows, cols)
    return ConfusionMatrix.of(labels, found.astype(np.int64) - 1, CLASSES)


def _enlarged(values: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.uint8]:
    down = (np.arange(rows) * 2 + 1) * values.shape[0] // (2 * rows)
    across = (np.arange(cols) * 2 + 1) * values.shape[1] // (2 * cols)
    return values[down][:, across]


def report(results: dict[str, dict[str, Outcome]]) -> dict[str, dict[str, float]]:
    """The figures of each resolution, with the tick and without."""
    return {
        size: {
            f"{key} {name}": round(value, 4)
            for name, outcome in ways.items()
            for key, value in (
                ("overall_accuracy", outcome.matrix.overall_accuracy),
                ("mean_iou", outcome.matrix.mean_iou),
                ("seconds", outcome.seconds),
            )
        }
        for size, ways in results.items()
    }


def main() -> None:
    """Print the report as JSON."""
    print(json.dumps(report(measure_resolutions(validation_images())), indent=1))


if __name__ == "__main__":
    main()
