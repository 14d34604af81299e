"""What do half precision, 8 bit and rounded scores cost in accuracy, and buy in time and size?

    build/venv/bin/python -m benchmarks.precision [--model FILE]

Exports the model in each precision, calibrated on the demo image, and maps the validation images
with all of them, but for the one that the demo image is; with fp32 once more as a graphics card
computes it, with 8-bit pixels in and 8-bit scores out, on the processor. Prints a JSON object by
precision: overall accuracy, mean IoU, the share of the pixels that get the class of fp32, the size
of the file in megabytes, and how many times as fast as fp32 a tile is computed: in turns, by one
thread, in time of the processor, so that whatever else the computer does counts little.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal

from benchmarks.measures import confusion, labels_of, map_image, validation_images
from scasnet_qgis import paths
from scasnet_qgis.common.choices import EXPORT_PRECISIONS as PRECISIONS
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.session import ModelLoader
from scasnet_qgis.training.export.job import export_task

DEMO = paths.resources() / "demo" / "dubai.tif"
CALIBRATED = "tile5_part8"  # the validation image that the demo image is
EXACT, ROUNDED = "fp32", "fp32, 8-bit scores as from a card"
TILE = 512  # pixels
ROUNDS = 9


@dataclass(frozen=True)
class Outcome:
    """One precision: against the reference, against fp32, and its computing speed and size.

    On a processor, nothing is to be learned of the speed of what is meant for a card.
    """

    matrix: ConfusionMatrix
    labels: ConfusionMatrix
    speed: float | None
    megabytes: float


def judged_images() -> list[tuple[Path, Path]]:
    """The validation images of which nothing was calibrated on."""
    return [(image, truth) for image, truth in validation_images() if image.stem != CALIBRATED]


def export_all(model: Path, folder: Path) -> dict[str, Path]:
    """The model in each precision."""
    files = {name: folder / f"{name}.onnx" for name in PRECISIONS}
    for name, file in files.items():
        values = {"source": str(model), "output": str(file), "precision": name, "raster": str(DEMO)}
        export_task(values, Progress())
    return files


def measure_speed(files: Mapping[str, Path]) -> dict[str, float]:
    """Speed of each model, that of fp32 being 1, on a tile of the demo image."""
    tile = gdal.Open(str(DEMO)).ReadAsArray(0, 0, TILE, TILE)[None].astype(np.float32) / 255
    seconds: dict[str, list[float]] = {name: [] for name in files}
    with ExitStack() as opened:
        backends = {
            name: opened.enter_context(OnnxBackend(inspect(file), "cpu", 1, (TILE, TILE), tiles=1))
            for name, file in files.items()
        }
        for _ in range(ROUNDS):
            for name, backend in backends.items():
                started = time.thread_time()
                backend.predict(tile)
                seconds[name].append(time.thread_time() - started)
    return {name: min(seconds[EXACT]) / min(times) for name, times in seconds.items()}


def measure_precision(model: Path | None = None) -> dict[str, Outcome]:
    """Map the judged images in every precision."""
    empty = ConfusionMatrix.empty(5)
    found = dict.fromkeys((*PRECISIONS, ROUNDED), (empty, empty))
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(model or paths.default_model(), Path(folder))
        speeds = measure_speed(files)
        for image, truth in judged_images():
            maps = {name: _map(image, file, Path(folder)) for name, file in files.items()}
            with patch.object(ModelLoader, "_wants_eight_bit", lambda *_: True):
                maps[ROUNDED] = _map(image, files[EXACT], Path(folder))
            exact = maps[EXACT].astype(np.int64) - 1
            for name, labels in maps.items():
                matrix, same = found[name]
                agreement = ConfusionMatrix.of(exact, labels.astype(np.int64) - 1, 5)
                found[name] = matrix + confusion(labels, truth), same + agreement
        return {
            name: Outcome(
                *figures, speeds.get(name), files.get(name, files[EXACT]).stat().st_size / 1e6
            )
            for name, figures in found.items()
        }


def _map(image: Path, model: Path, folder: Path) -> NDArray[np.uint8]:
    map_image(image, folder / "map.tif", model)
    return labels_of(folder / "map.tif")


def report(results: Mapping[str, Outcome]) -> dict[str, dict[str, float | None]]:
    """The figures by precision."""
    return {
        name: {
            "overall_accuracy": round(outcome.matrix.overall_accuracy, 4),
            "mean_iou": round(outcome.matrix.mean_iou, 4),
            "labels_agreeing": round(outcome.labels.overall_accuracy, 4),
            "speed": None if outcome.speed is None else round(outcome.speed, 2),
            "megabytes": round(outcome.megabytes, 2),
        }
        for name, outcome in results.items()
    }


def main() -> None:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="another model than the one that ships")
    arguments = parser.parse_args()
    print(json.dumps(report(measure_precision(arguments.model)), indent=1))


if __name__ == "__main__":
    main()
