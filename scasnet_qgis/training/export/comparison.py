"""How far a model in another precision is from the one it was made of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.labels.label_class import IGNORE
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.export.calibration_tiles import RasterSample, ReferenceLabels

_POLL_SECONDS = 0.1


@dataclass
class Parity:
    """``labels``: pixels by the class of the exact model (rows) and of the other (columns).

    ``exact`` and ``other`` are both models against the reference; without pixels where there is
    none. The seconds are those of this computer, for the same tiles.
    """

    labels: ConfusionMatrix
    exact: ConfusionMatrix
    other: ConfusionMatrix
    largest_difference: float = 0.0  # of a probability
    exact_seconds: float = 0.0
    other_seconds: float = 0.0
    windows: int = 0

    @property
    def agreeing(self) -> float:
        """Share of the pixels to which both models give the same class."""
        return self.labels.overall_accuracy

    def add(
        self,
        exact: NDArray[np.float32],
        other: NDArray[np.float32],
        valid: NDArray[np.bool_],
        reference: NDArray[np.uint8] | None,
    ) -> None:
        """Count a window: probabilities [classes, rows, cols] of both, and where there is data."""
        difference = np.abs(exact - other).max(axis=0)[valid]
        self.largest_difference = max(self.largest_difference, float(difference.max(initial=0.0)))
        first, second = exact.argmax(axis=0), other.argmax(axis=0)
        classes = len(exact)
        there = np.where(valid, first, IGNORE)
        self.labels += ConfusionMatrix.of(there, second, classes)
        if reference is not None:
            wanted = np.where(valid, reference, IGNORE)
            self.exact += ConfusionMatrix.of(wanted, first, classes)
            self.other += ConfusionMatrix.of(wanted, second, classes)
        self.windows += 1


def compare(
    exact: ModelInfo,
    other: ModelInfo,
    sample: RasterSample,
    windows: Sequence[Window],
    reference: ReferenceLabels | None,
    progress: Progress,
) -> Parity:
    """Compute ``windows`` with both models, in turns, on the processor; raises Cancelled."""
    empty = ConfusionMatrix.empty(exact.classes)
    parity = Parity(empty, empty, empty)
    margin = exact.margin
    size = other.fixed_size or (windows[0].rows + 2 * margin, windows[0].cols + 2 * margin)
    with _opened(exact, size, progress) as first, _opened(other, size, progress) as second:
        for index, window in enumerate(windows):
            tile, valid = sample.read(window, margin)
            scores, seconds = _timed(first, tile, progress)
            others, other_seconds = _timed(second, tile, progress)
            labels = None if reference is None else reference.read(window)
            parity.add(scores, others, valid, labels)
            parity.exact_seconds += seconds
            parity.other_seconds += other_seconds
            progress.report((index + 1) / len(windows))
    return parity


def _opened(info: ModelInfo, size: tuple[int, int], progress: Progress) -> OnnxBackend:
    """One tile at a time: all threads help inside it."""
    return OnnxBackend(info, "cpu", tile_size=size, tiles=1, progress=progress)


def _timed(
    backend: OnnxBackend, tile: NDArray[np.float32], progress: Progress
) -> tuple[NDArray[np.float32], float]:
    """The probabilities of a tile and how long they took."""
    with ThreadPoolExecutor(1, thread_name_prefix="scasnet-compare") as pool:
        started = time.monotonic()
        future = pool.submit(backend.predict, tile[None])
        while not wait((future,), timeout=_POLL_SECONDS).done:
            if progress.cancelled:
                backend.cancel()
        progress.check()
        return future.result()[0], time.monotonic() - started
