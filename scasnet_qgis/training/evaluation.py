"""Accuracy of a network on labelled scenes, measured as maps are made: in blended tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.tiling.blending import FinishedBlock
from scasnet_qgis.tiling.pipeline import Pipeline
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.valid_pixels import MaskReader
from scasnet_qgis.tiling.windows import Window, plan_fitted_tiles
from scasnet_qgis.training.data.memmaps import cut
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene

_BLOCK = 256  # panels begin at multiples of this
_PANEL = 16384  # pixels; the width of a panel, so that memory does not grow with the scene

Forward = Callable[[Tensor], Tensor]


class TorchBackend:
    """A network as what tiling.pipeline wants: tiles in 0-1 in, probabilities out."""

    workers = 1
    margin = 0
    takes_raw = gives_labels = False

    def __init__(self, forward: Forward, normalisation: Normalisation, classes: int) -> None:
        self.classes = classes
        self._forward, self._normalisation = forward, normalisation
        self._cancelled = threading.Event()

    def predict(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, bands, rows, cols] in 0-1 -> probabilities [N, classes, rows, cols]."""
        if self._cancelled.is_set():
            raise Cancelled
        with torch.inference_mode():
            scores = self._forward(self._normalisation.standardise(torch.from_numpy(tiles)))
            found: NDArray[np.float32] = scores.softmax(dim=1).cpu().numpy()
        return found

    def cancel(self) -> None:
        self._cancelled.set()


class SceneSource:
    """A scene's pixels, and where they hold data."""

    block_rows = 1

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        pixels, valid = np.array(cut(self._scene.pixels, window)), self._scene.valid
        return pixels, None if valid is None else np.array(cut(valid, window))


def labelled(scene: Scene) -> MaskReader:
    """Leaves out tiles without any label; the others see all of the image, as maps are made."""

    def inside(window: Window) -> NDArray[np.bool_] | None:
        if (cut(scene.labels, window) != IGNORE).any():
            return None
        return np.zeros((window.rows, window.cols), dtype=np.bool_)

    return inside


def confusion(
    forward: Forward,
    scenes: list[Scene],
    normalisation: Normalisation,
    classes: int,
    tile: tuple[int, int],
    progress: Progress,
) -> ConfusionMatrix:
    """Map the scenes and count against their labels; pixels without a label are left out.

    ``forward`` gives class scores [N, classes, H, W] for standardised images; ``tile`` is the
    tile's size and overlap in pixels. Raises Cancelled.
    """
    total = ConfusionMatrix.empty(classes)
    size, overlap = tile

    def count(scene: Scene, block: FinishedBlock) -> None:
        nonlocal total
        mapped = block.labels().astype(np.int64) - 1
        total += ConfusionMatrix.of(cut(scene.labels, block.window), mapped, classes)

    for scene in scenes:
        rows, cols = scene.labels.shape
        plan = plan_fitted_tiles(
            rows, cols, (size, size), overlap, fixed=False, panel_cols=_PANEL, block=_BLOCK
        )
        Pipeline(
            SceneSource(scene),
            Window(0, 0, rows, cols),
            Window(0, 0, rows, cols),
            scaling_of(normalisation),
            TorchBackend(forward, normalisation, classes),
            plan,
            inside=labelled(scene),
        ).run(partial(count, scene), _Quiet(progress))
    return total


def scaling_of(normalisation: Normalisation) -> Scaling:
    """How raw values become 0 to 1, as it is done when maps are made."""
    low, high = normalisation.value_range
    bands = len(normalisation.mean)
    return Scaling((low,) * bands, (high,) * bands, tuple(normalisation.mean), Message(""))


class _Quiet(Progress):
    """Passes a cancel on, but not how far an evaluation is: the training counts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def cancelled(self) -> bool:
        return self._progress.cancelled


def forward_of(network: nn.Module, device: str) -> Forward:
    """The network's scores, computed in single precision as in the model file."""

    def forward(images: Tensor) -> Tensor:
        network.eval()
        scores: Tensor = network(images.to(device).contiguous(memory_format=torch.channels_last))
        return scores

    return forward
