"""What a training tells on its way: as lines of JSON in its folder, and to people."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scasnet_qgis.core.accuracy import ConfusionMatrix
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.training.schedule import Schedule
from scasnet_qgis.training.work import LOG


class RunLog:
    """The log of the run in a work folder; seconds are those of all its starts together."""

    def __init__(self, folder: Path, schedule: Schedule, progress: Progress) -> None:
        self._file, self._schedule, self._progress = folder / LOG, schedule, progress

    def start(self, weights: int, device: str, precision: str, step: int) -> None:
        """Say what is trained, on what, and from which step on."""
        text = translate(
            "ScasNet",
            "Training on {device} in {precision} from step {step}: {weights:,} weights, "
            "{steps} steps per epoch",
        )
        steps = self._schedule.steps_per_epoch
        values = {"device": device, "precision": precision, "step": step}
        self._progress.info(message(text, weights=weights, steps=steps, **values))

    def loss(self, step: int, seconds: float, loss: float) -> None:
        """Write down the loss of a step, which is no number for a batch without labels."""
        rate = self._schedule.learning_rate(step, seconds)
        self._write(step, seconds, loss=_finite_or_none(loss), learning_rate=float(f"{rate:.3g}"))
        left = self._schedule.remaining(step, seconds) / 60
        if left < 2:
            text = translate(
                "ScasNet", "Step {step}, epoch {epoch:.1f}: loss {loss:.3f}, under 2 minutes left"
            )
        else:
            text = translate(
                "ScasNet",
                "Step {step}, epoch {epoch:.1f}: loss {loss:.3f}, {minutes:.0f} minutes left",
            )
        epoch = self._schedule.epoch(step)
        self._progress.info(message(text, step=step, epoch=epoch, loss=loss, minutes=left))

    def accuracy(
        self, step: int, seconds: float, matrix: ConfusionMatrix, names: Sequence[str]
    ) -> dict[str, Any]:
        """Write down the accuracy on the validation scenes; returns it as it is written."""
        result = {
            "overall_accuracy": round(matrix.overall_accuracy, 4),
            "mean_iou": round(matrix.mean_iou, 4),
            "iou": dict(zip(names, map(_finite_or_none, matrix.iou))),
        }
        self._write(step, seconds, **result)
        text = translate(
            "ScasNet",
            "Validation after {minutes:.1f} minutes: overall accuracy {accuracy:.3f}, mean IoU "
            "{iou:.3f}",
        )
        values = {"accuracy": matrix.overall_accuracy, "iou": matrix.mean_iou}
        self._progress.info(message(text, minutes=seconds / 60, **values))
        return result

    def _write(self, step: int, seconds: float, **values: Any) -> None:
        record = {
            "step": step,
            "epoch": round(self._schedule.epoch(step), 3),
            "minutes": round(seconds / 60, 2),
            **values,
        }
        with self._file.open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")


def _finite_or_none(value: float) -> float | None:
    """Rounded for a JSON file, which knows no NaN."""
    return round(float(value), 4) if math.isfinite(value) else None
