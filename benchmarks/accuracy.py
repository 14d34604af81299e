"""How good is the shipped model? Its accuracy on the validation images, class by class.

build/venv/bin/python -m benchmarks.accuracy
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.measures import confusion, labels_of, map_image, validation_images
from scasnet_qgis import paths
from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.models.onnx_file import inspect


def measure_accuracy() -> ConfusionMatrix:
    """Map each validation image with the default settings and count against its labels."""
    matrix = ConfusionMatrix.empty(len(inspect(paths.default_model()).card.classes))
    with tempfile.TemporaryDirectory() as folder:
        for image, truth in validation_images():
            target = Path(folder) / "map.tif"
            map_image(image, target)
            matrix += confusion(labels_of(target), truth)
    return matrix


def report(matrix: ConfusionMatrix) -> dict[str, object]:
    """Overall accuracy, mean IoU and the figures of each class."""
    names = inspect(paths.default_model()).card.class_names
    hits = matrix.counts.diagonal()
    return {
        "overall_accuracy": round(matrix.overall_accuracy, 4),
        "mean_iou": round(matrix.mean_iou, 4),
        "classes": {
            name: {
                "share": round(float(matrix.counts[i].sum() / matrix.counts.sum()), 4),
                "recall": round(float(hits[i] / matrix.counts[i].sum()), 4),
                "precision": round(float(hits[i] / matrix.counts[:, i].sum()), 4),
                "iou": round(float(matrix.iou[i]), 4),
            }
            for i, name in enumerate(names)
        },
    }


def main() -> None:
    """Print the report as JSON."""
    print(json.dumps(report(measure_accuracy()), indent=1))


if __name__ == "__main__":
    main()
