"""What training reaches: on another landscape, from few polygons, and from which start.

build/venv/bin/python -m benchmarks.training {landscape,polygons,encoder} --data FOLDER

FOLDER is that of the data sets: czech/ (landscape), nb_aerial/ (polygons), dubai/ and weights/
(encoder). Each prints a JSON object. Runs are compared at the same budget, one after the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal

from benchmarks.measures import map_image
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.labels import classes_of
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.training.run import train_task

STRIP = 512  # rows compared at a time
FOREST = {"pixels": 60_000, "trees": 200, "context": 15}  # of the random forest
POLYGON_CLASSES = {"1": "forest", "2": "water", "3": "road", "4": "building"}
ENCODER_STEPS = 300  # of each start; counted, as minutes would depend on what else is computed
DUBAI_CLASSES = ("building", "land", "road", "vegetation", "water")


class _Printed(Progress):
    def info(self, text: str | Message) -> None:
        print(f"  {text}", flush=True)

    warn = info


def judge(labels: Path, mapped: Path, values: list[int], offset: int = 1) -> ConfusionMatrix:
    """Count a map, whose class k is value k + ``offset``, against labels in strips."""
    truth, found = gdal.Open(str(labels)), gdal.Open(str(mapped))
    matrix = ConfusionMatrix.empty(len(values))
    for top in range(0, truth.RasterYSize, STRIP):
        rows = min(STRIP, truth.RasterYSize - top)
        marks = truth.ReadAsArray(0, top, truth.RasterXSize, rows)
        classes = np.full(marks.shape, -1)
        for index, value in enumerate(values):
            classes[marks == value] = index
        strip = found.ReadAsArray(0, top, truth.RasterXSize, rows).astype(np.int64) - offset
        matrix += ConfusionMatrix.of(classes, strip, len(values))
    return matrix


def figures(matrix: ConfusionMatrix, names: list[str]) -> dict[str, Any]:
    return {
        "overall_accuracy": round(matrix.overall_accuracy, 4),
        "mean_iou": round(matrix.mean_iou, 4),
        "iou": dict(zip(names, np.round(matrix.iou, 4).tolist())),
    }


def train(config: dict[str, Any], folder: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Train and return the model file and what is known of the run."""
    print(name, flush=True)
    output = folder / f"{name}.onnx"
    request = {"config": config, "output": str(output), "work": str(folder / f"{name}_training")}
    return output, train_task(request, _Printed())


def landscape(data: Path, minutes: float) -> dict[str, Any]:
    """Fine-tuning from the shipped model against starting from nothing, judged on a test area."""
    czech = data / "czech"
    labels = str(czech / "train_labels.tif")
    classes = [vars(label_class) for label_class in classes_of(labels)]
    names, values = [entry["name"] for entry in classes], [int(entry["value"]) for entry in classes]
    config: dict[str, Any] = {
        "data": [{"image": str(czech / "train.tif"), "labels": labels}],
        "classes": classes,
        "validation_share": 0.1,
        "time_budget": minutes,
    }
    result: dict[str, Any] = {"minutes": minutes, "random forest": random_forest(czech, values)}
    with tempfile.TemporaryDirectory() as folder:
        for start in ("default", "nothing"):
            model, run = train({**config, "start_from": start}, Path(folder), start)
            mapped = Path(folder) / f"{start}.tif"
            map_image(czech / "test.tif", mapped, model)
            matrix = judge(czech / "test_labels.tif", mapped, values)
            result[start] = {**figures(matrix, names), "steps": run["steps"]}
    return result


def random_forest(czech: Path, values: list[int]) -> dict[str, Any]:
    """A random forest on colour, its local mean and deviation: what there is without a network."""
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(1)
    labels = gdal.Open(str(czech / "train_labels.tif")).ReadAsArray()
    features = _context(gdal.Open(str(czech / "train.tif")).ReadAsArray())
    places = np.flatnonzero(np.isin(labels, values))
    chosen = generator.choice(places, FOREST["pixels"], replace=False)
    forest = RandomForestClassifier(FOREST["trees"], n_jobs=-1, random_state=1)
    forest.fit(features[:, chosen].T, labels.ravel()[chosen])
    truth = gdal.Open(str(czech / "test_labels.tif")).ReadAsArray()
    wanted = _context(gdal.Open(str(czech / "test.tif")).ReadAsArray())
    judged = generator.choice(np.flatnonzero(np.isin(truth, values)), 400_000, replace=False)
    found = forest.predict(wanted[:, judged].T)
    position = {value: index for index, value in enumerate(values)}
    matrix = ConfusionMatrix.of(
        np.array([position[value] for value in truth.ravel()[judged]]),
        np.array([position[value] for value in found]),
        len(values),
    )
    return {
        "overall_accuracy": round(matrix.overall_accuracy, 4),
        "mean_iou": round(matrix.mean_iou, 4),
    }


def _context(image: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Colour, local mean and local deviation of each band, [3 * bands, pixels]."""
    from scipy.ndimage import uniform_filter

    bands = image.astype(np.float32)
    size = (0, FOREST["context"], FOREST["context"])
    mean = uniform_filter(bands, size)
    deviation = np.sqrt(np.maximum(uniform_filter(bands**2, size) - mean**2, 0))
    return np.concatenate([bands, mean, deviation]).reshape(3 * len(bands), -1)


def polygons(data: Path, minutes: float) -> dict[str, Any]:
    """A few dozen hand-drawn polygons on two small images: no pass mark, the set is tiny."""
    folder = data / "nb_aerial"
    (drawn,) = folder.glob("*.gpkg")
    config = {
        "data": [
            {"image": str(image), "labels": str(drawn), "field": "Quatreclasses"}
            for image in sorted(folder.glob("*.tif"))
        ],
        "classes": [{"value": key, "name": name} for key, name in POLYGON_CLASSES.items()],
        "validation_share": 0.3,
        "time_budget": minutes,
    }
    result: dict[str, Any] = {"minutes": minutes, "polygons": 43}
    with tempfile.TemporaryDirectory() as target:
        for start in ("default", "nothing"):
            model, run = train({**config, "start_from": start}, Path(target), start)
            card = inspect(model).card
            result[start] = {
                **{key: run[key] for key in ("overall_accuracy", "mean_iou", "iou", "steps")},
                "judged on": card.accuracy.get("data"),
            }
    return result


def encoder(data: Path, minutes: float) -> dict[str, Any]:
    """Starting from VGG16's encoder against starting from nothing, on the Dubai set.

    Both take the same steps; ``minutes`` end a run that would take longer.
    """
    classes = [{"value": index, "name": name} for index, name in enumerate(DUBAI_CLASSES)]
    config = {
        "data": [
            {
                "image": str(data / "dubai" / "images"),
                "labels": str(data / "dubai" / "labels"),
                "validation": "*_part8",
            }
        ],
        "classes": classes,
        "steps": ENCODER_STEPS,
        "time_budget": minutes,
        "evaluate_every": minutes,
    }
    weights = str(data / "weights" / "vgg16_imagenet_encoder.caffemodel")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, start in (("VGG16 encoder", weights), ("nothing", "nothing")):
            _, run = train({**config, "start_from": start}, Path(folder), name)
            result[name] = {
                key: run[key] for key in ("overall_accuracy", "mean_iou", "iou", "steps")
            }
    return result


STUDIES = {"landscape": (landscape, 20.0), "polygons": (polygons, 4.0), "encoder": (encoder, 60.0)}


def main() -> None:
    """Run one study and print its result as JSON, also into a file where one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--minutes", type=float, help="budget of each run")
    parser.add_argument("--store", type=Path, help="write the result to this file, too")
    arguments = parser.parse_args()
    study, minutes = STUDIES[arguments.study]
    result = study(arguments.data, arguments.minutes or minutes)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.store:
        arguments.store.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
