"""A model applied to several views of each tile, and its scores averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.tiling.augmentation import Augmentation, scaled_size
from scasnet_qgis.tiling.pipeline import Backend, as_float
from scasnet_qgis.tiling.resampling import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AveragingBackend:
    """Shows several views of each tile to another backend and averages the scores.

    Serves as that backend to the loop. Each view is computed after the other, so that memory is
    that of the largest one and of two tiles of scores.
    """

    def __init__(self, backend: Backend, augmentation: Augmentation) -> None:
        if backend.gives_labels:
            raise ValueError("labels cannot be averaged")
        self._backend, self._augmentation = backend, augmentation
        self.classes, self.workers, self.margin = backend.classes, backend.workers, backend.margin
        self.takes_raw, self.gives_labels = backend.takes_raw, False

    def predict(self, tiles: NDArray[Any]) -> NDArray[np.float32]:
        """As of the other backend; what it raises, Cancelled too, ends the call."""
        scores = _sum(self._at_all_scales(tiles))
        scores /= len(self._augmentation.scales) * len(self._augmentation.views)
        return scores

    def _at_all_scales(self, tiles: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        size = (tiles.shape[2], tiles.shape[3])
        for scale in self._augmentation.scales:
            if scale == 1:
                yield _sum(self._in_all_views(tiles))
            else:
                scaled = resize(tiles.astype(np.float32, copy=False), *scaled_size(size, scale))
                if tiles.dtype.kind in "iu":
                    np.rint(scaled, out=scaled)
                same_kind = scaled.astype(tiles.dtype, copy=False)
                yield resize(_sum(self._in_all_views(same_kind)), *size)

    def _in_all_views(self, tiles: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        for view in self._augmentation.views:
            yield as_float(view.undo(self._backend.predict(view.of(tiles))))

    def cancel(self) -> None:
        self._backend.cancel()


def _sum(parts: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Add up arrays that nobody else uses; the first one becomes the sum."""
    total = next(parts)
    for part in parts:
        total += part
    return total


def augmented(backend: Backend, augmentation: Augmentation) -> Backend:
    """The backend itself where there is nothing to average."""
    return backend if augmentation.is_none else AveragingBackend(backend, augmentation)
