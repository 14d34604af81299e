"""What do scales, flips, the sieve and the least confidence buy in accuracy, and cost in time?

    build/venv/bin/python -m benchmarks.refinements [--model FILE]

Maps each validation image plainly and in every other way, one right after the other, so that
whatever else the computer does slows all of them down alike. Prints a JSON object by the name of
the way: overall accuracy, mean IoU, seconds and seconds of the processors over those of the plain
map, and the share of the pixels that got a class (accuracy is that of these).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measures import confusion, labels_of, map_image, validation_images
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.tiling.augmentation import Augmentation

PLAIN = "plain"
SCALES = (0.75, 1.0, 1.25)
SMALLEST_PATCH = 50  # pixels
CONFIDENCE = 0.5
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "scales 0.75;1;1.25": {"augmentation": Augmentation(SCALES)},
    "flips mirror": {"augmentation": Augmentation((1.0,), "mirror")},
    "flips full": {"augmentation": Augmentation((1.0,), "full")},
    "scales 0.75;1;1.25, flips mirror": {"augmentation": Augmentation(SCALES, "mirror")},
    f"sieve {SMALLEST_PATCH} pixels": {"sieve": SMALLEST_PATCH},
    f"confidence {CONFIDENCE}": {"min_confidence": CONFIDENCE},
}


@dataclass(frozen=True)
class Outcome:
    """One way of mapping all validation images."""

    matrix: ConfusionMatrix
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.matrix + other.matrix,
            self.seconds + other.seconds,
            self.processor_seconds + other.processor_seconds,
        )


def measure_refinements(model: Path | None = None) -> dict[str, Outcome]:
    """Map the validation images in all ways."""
    results = {name: Outcome(ConfusionMatrix.empty(5)) for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "map.tif"
        images = validation_images()
        map_image(images[0][0], target, model)  # the first run of a process is a slow one
        for image, truth in images:
            for name, settings in WAYS.items():
                before = time.process_time()
                done = map_image(image, target, model, **settings)
                used = time.process_time() - before
                results[name] += Outcome(confusion(labels_of(target), truth), done.seconds, used)
    return results


def report(results: Mapping[str, Outcome]) -> dict[str, dict[str, float]]:
    """The figures of each way, relative to the plain one where they are relative."""
    plain = results[PLAIN]
    return {
        name: {
            "overall_accuracy": round(outcome.matrix.overall_accuracy, 4),
            "mean_iou": round(outcome.matrix.mean_iou, 4),
            "time_ratio": round(outcome.seconds / plain.seconds, 2),
            "processor_time_ratio": round(outcome.processor_seconds / plain.processor_seconds, 2),
            "share_with_class": round(outcome.matrix.total / plain.matrix.total, 4),
        }
        for name, outcome in results.items()
    }


def main() -> None:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="another model than the one that ships")
    arguments = parser.parse_args()
    print(json.dumps(report(measure_refinements(arguments.model)), indent=1))


if __name__ == "__main__":
    main()
