"""How good is the shipped model? Its accuracy on the validation images, class by class.

    build/venv/bin/python -m benchmarks.accuracy [--write-card]

With --write-card the figures are also written into the card inside of the model's file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.measures import confusion, labels_of, map_image, validation_images
from scasnet_qgis import paths
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.model_card import PREFIX
from scasnet_qgis.models.model_file import inspect


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


def write_card(matrix: ConfusionMatrix) -> None:
    """Put the figures into the shipped model's card; what it says about the data stays."""
    import onnx

    path = str(paths.default_model())
    model = onnx.load(path)
    (entry,) = (prop for prop in model.metadata_props if prop.key == f"{PREFIX}accuracy")
    names = inspect(path).card.class_names
    measured = {
        "overall_accuracy": round(matrix.overall_accuracy, 4),
        "mean_iou": round(matrix.mean_iou, 4),
        "iou": {name: round(float(iou), 4) for name, iou in zip(names, matrix.iou)},
        "confusion": matrix.counts.astype(int).tolist(),
    }
    entry.value = json.dumps({**json.loads(entry.value), **measured})
    onnx.save(model, path)


def main() -> None:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-card", action="store_true", help="into the model's file, too")
    arguments = parser.parse_args()
    matrix = measure_accuracy()
    if arguments.write_card:
        write_card(matrix)
    print(json.dumps(report(matrix), indent=1))


if __name__ == "__main__":
    main()
