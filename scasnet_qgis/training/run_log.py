"""What a training tells on its way: as lines of JSON in its folder, and to people."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress

if TYPE_CHECKING:
    from scasnet_qgis.training.optimisation import Schedule  # needs PyTorch, which QGIS may lack

LOG = "log.jsonl"


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


Curve = list[tuple[float, float]]

_SMOOTHED = 200  # points of the smoothed loss
_WINDOW = 0.04  # of all losses, over which the mean is taken


@dataclass(frozen=True)
class History:
    """What a run wrote into its log: records of losses, and of evaluations."""

    losses: list[dict[str, Any]]
    scores: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> History:
        """Read log.jsonl; a line that was cut off by the end of its process is left out.

        A run that was killed goes on from its last checkpoint and writes some steps again: the
        later ones count. Raises OSError.
        """
        records: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            record = _record(line)
            if record is None:
                continue
            while records and records[-1]["step"] > record["step"]:
                records.pop()
            records.append(record)
        return cls(
            _last_of_each_step([record for record in records if "loss" in record]),
            _last_of_each_step([record for record in records if "overall_accuracy" in record]),
        )

    @property
    def in_epochs(self) -> bool:
        """Whether the run went over the data often enough for epochs to tell something."""
        return max((_number(record.get("epoch")) for record in self._all), default=0.0) >= 2.0

    @property
    def minutes(self) -> float:
        """Minutes of work up to the last record; NaN where there is none."""
        return max((_number(record.get("minutes")) for record in self._all), default=math.nan)

    @property
    def steps(self) -> int:
        return max((record["step"] for record in self._all), default=0)

    @property
    def _all(self) -> list[dict[str, Any]]:
        return [*self.losses, *self.scores]

    def curve(self, key: str) -> Curve:
        """A value over epochs or steps; NaN where a record holds no number."""
        where = "epoch" if self.in_epochs else "step"
        records = self.losses if key in ("loss", "learning_rate") else self.scores
        return [(_number(record.get(where)), _number(record.get(key))) for record in records]

    def class_curve(self, name: str) -> Curve:
        """The IoU of a class."""
        where = "epoch" if self.in_epochs else "step"
        found = [(record.get(where), record.get("iou")) for record in self.scores]
        return [
            (_number(x), _number(scores.get(name) if isinstance(scores, dict) else None))
            for x, scores in found
        ]


def smoothed(curve: Curve) -> Curve:
    """The running mean of a noisy curve, at no more than some hundred places."""
    points = np.array([point for point in curve if all(map(math.isfinite, point))])
    if not len(points):
        return []
    half = int(len(points) * _WINDOW / 2)
    sums = np.concatenate([[0.0], np.cumsum(points[:, 1])])
    places = np.unique(np.linspace(0, len(points) - 1, _SMOOTHED).round().astype(int))
    low = np.maximum(places - half, 0)
    high = np.minimum(places + half, len(points) - 1) + 1
    means = (sums[high] - sums[low]) / (high - low)
    return list(zip(points[places, 0].tolist(), means.tolist()))


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        return None
    return record


def _last_of_each_step(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({record["step"]: record for record in records}.values())


def _number(value: Any) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known else math.nan
