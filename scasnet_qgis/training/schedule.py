"""How long a training runs, how fast it learns, and when it pauses to look at itself."""

from __future__ import annotations

from math import ceil

import numpy as np

from scasnet_qgis.training.config import DEFAULT_MINUTES, TrainingConfig
from scasnet_qgis.training.scenes import IGNORE, Scene

EVALUATION_SHARE = 0.1  # of the time, at most
WARM_UP_SHARE = 0.05  # of the run, at most
FIRST_EVALUATION = 0.05  # of the run, so that a training cancelled early leaves a model


class Schedule:
    """The end of a run by epochs, steps and minutes, and the learning rate on the way."""

    def __init__(self, config: TrainingConfig, scenes: list[Scene]) -> None:
        self._config = config
        self.steps_per_epoch = max(1, ceil(labelled_cells(scenes, config.crop) / config.batch))
        ends = [end for end in (config.steps, self._epoch_steps()) if end is not None]
        self._steps = min(ends) if ends else None
        self._minutes = config.time_budget
        if self._steps is None and self._minutes is None:
            self._minutes = DEFAULT_MINUTES

    def _epoch_steps(self) -> int | None:
        epochs = self._config.epochs
        return None if epochs is None else max(1, round(epochs * self.steps_per_epoch))

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is done, by steps or by time, whichever is further."""
        by_steps = step / self._steps if self._steps else 0.0
        by_time = seconds / (60.0 * self._minutes) if self._minutes else 0.0
        return min(max(by_steps, by_time), 1.0)

    def learning_rate(self, step: int, seconds: float) -> float:
        """Polynomial decay after a linear warm-up, which is shorter where the run is."""
        done = self.progress(step, seconds)
        warm = min(1.0, max((step + 1) / max(self._config.warm_up, 1), done / WARM_UP_SHARE))
        left = 1.0 - done
        return float(self._config.base_rate * warm * left**self._config.decay_power)

    def epoch(self, step: int) -> float:
        return step / self.steps_per_epoch

    def remaining(self, step: int, seconds: float) -> float:
        """Estimated seconds to the end."""
        done = self.progress(step, seconds)
        return seconds * (1.0 - done) / done if done > 0 else float("inf")


class EvaluationTimer:
    """Says when to evaluate: now and then, but for no more than EVALUATION_SHARE of the time."""

    def __init__(self, config: TrainingConfig) -> None:
        self._every = 60.0 * config.evaluate_every
        self._last, self._took = 0.0, 0.0
        self._evaluated = False

    def due(self, seconds: float, progress: float) -> bool:
        if not self._evaluated:
            return progress >= FIRST_EVALUATION or seconds >= self._every
        since = seconds - self._last
        # Short runs look at themselves more often than every few minutes.
        wanted = min(self._every, FIRST_EVALUATION * 2 * seconds / max(progress, 1e-6))
        return since >= max(wanted, self._took / EVALUATION_SHARE)

    def evaluated(self, seconds: float, took: float) -> None:
        """Tell that an evaluation of ``took`` seconds ended at ``seconds``."""
        self._last, self._took, self._evaluated = seconds, took, True


def labelled_cells(scenes: list[Scene], size: int) -> int:
    """Squares of ``size`` pixels that hold labels: as many crops see every label about once."""
    count = 0
    for scene in scenes:
        for top in range(0, scene.labels.shape[0], size):
            strip = np.asarray(scene.labels[top : top + size]) != IGNORE
            starts = np.arange(0, strip.shape[1], size)
            count += int(np.logical_or.reduceat(strip.any(axis=0), starts).sum())
    return count
