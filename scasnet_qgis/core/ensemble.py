"""One model, several looks at each tile: scores averaged over scales, flips and turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scasnet_qgis.core.choices import FULL, MIRROR, NONE
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.resizing import resize
from scasnet_qgis.core.segmentation import Backend, as_float
from scasnet_qgis.core.windows import SIZE_STEP, SMALLEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SCALE, LARGEST_SCALE = 0.25, 4.0


@dataclass(frozen=True)
class View:
    """A tile as the model sees it: axes exchanged or not, then upside down, then left to right."""

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def of(self, nchw: NDArray[Any]) -> NDArray[Any]:
        """The view of [N, channels, rows, cols], without copying."""
        turned = nchw.swapaxes(2, 3) if self.transposed else nchw
        return self._flipped(turned)

    def undo(self, nchw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Back to how the tile lay, without copying."""
        flipped = self._flipped(nchw)
        return flipped.swapaxes(2, 3) if self.transposed else flipped

    def _flipped(self, nchw: NDArray[np.float32]) -> NDArray[np.float32]:
        down, right = (-1 if self.upside_down else 1), (-1 if self.mirrored else 1)
        return nchw[:, :, ::down, ::right]


_SIDES = (False, True)
_VIEWS = {
    NONE: (View(),),
    MIRROR: (View(), View(mirrored=True)),
    FULL: tuple(View(a, b, c) for a in _SIDES for b in _SIDES for c in _SIDES),
}


@dataclass(frozen=True)
class Looks:
    """At which scales, and with which of ``choices.FLIPS``, the model looks at each tile."""

    scales: tuple[float, ...] = (1.0,)
    flips: str = NONE

    @property
    def views(self) -> tuple[View, ...]:
        return _VIEWS[self.flips]

    @property
    def only_one(self) -> bool:
        """Whether there is nothing to average and nothing to resize."""
        return self.scales == (1.0,) and len(self.views) == 1

    @property
    def cost(self) -> float:
        """About how many times as long the model computes."""
        return sum(each**2 for each in self.scales) * len(self.views)

    def largest(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the largest tile that the model gets."""
        return scaled_size(tile, max(self.scales))

    def check(self, fixed_size: tuple[int, int] | None, margin: int) -> None:
        """Raise SettingError where a model with these properties cannot look that way."""
        if self.scales != (1.0,) and (fixed_size is not None or margin):
            raise SettingError(
                translate(
                    "ScasNet",
                    "This model works at one size of tiles only, so its tiles cannot be scaled: "
                    "set the scales to 1.",
                )
            )
        turned = any(each.transposed for each in self.views)
        if turned and fixed_size is not None and fixed_size[0] != fixed_size[1]:
            raise SettingError(
                translate(
                    "ScasNet",
                    "This model takes tiles of {rows} x {cols} pixels, which cannot be turned: "
                    "choose the flips 'mirror' or 'none'.",
                ),
                rows=fixed_size[0],
                cols=fixed_size[1],
            )


ONE_LOOK = Looks()


def parse_scales(text: str) -> tuple[float, ...]:
    """The scales in a text such as "0.75;1;1.25", ascending and each once; SettingError if none."""
    try:
        scales = {float(each.replace(",", ".")) for each in text.replace(";", " ").split()}
    except ValueError as error:
        raise _no_scales(text) from error
    if not scales or not all(SMALLEST_SCALE <= each <= LARGEST_SCALE for each in scales):
        raise _no_scales(text)
    return tuple(sorted(scales))


def _no_scales(text: str) -> SettingError:
    return SettingError(
        translate(
            "ScasNet",
            "The scales '{text}' cannot be used: give numbers from {low:g} to {high:g} with "
            "semicolons between them, such as 0.75;1;1.25.",
        ),
        text=text,
        low=SMALLEST_SCALE,
        high=LARGEST_SCALE,
    )


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Rows and columns of a tile at a scale: multiples of what networks reduce by."""
    if scale == 1:
        return size
    rows, cols = (
        max(round(each * scale / SIZE_STEP) * SIZE_STEP, min(each, SMALLEST)) for each in size
    )
    return rows, cols


class AveragingBackend:
    """Shows each tile to another backend several times and averages the scores.

    Looks like that backend to the loop. Each view is computed after the other, so that memory is
    that of the largest one and of two tiles of scores.
    """

    def __init__(self, backend: Backend, looks: Looks) -> None:
        if backend.gives_labels:
            raise ValueError("labels cannot be averaged")
        self._backend, self._looks = backend, looks
        self.classes, self.workers, self.margin = backend.classes, backend.workers, backend.margin
        self.takes_raw, self.gives_labels = backend.takes_raw, False

    def predict(self, tiles: NDArray[Any]) -> NDArray[np.float32]:
        """As of the other backend; what it raises, Cancelled too, ends the call."""
        scores = _sum(self._at_all_scales(tiles))
        scores /= len(self._looks.scales) * len(self._looks.views)
        return scores

    def _at_all_scales(self, tiles: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        size = (tiles.shape[2], tiles.shape[3])
        for scale in self._looks.scales:
            if scale == 1:
                yield _sum(self._in_all_views(tiles))
            else:
                scaled = resize(tiles.astype(np.float32, copy=False), *scaled_size(size, scale))
                if tiles.dtype.kind in "iu":
                    np.rint(scaled, out=scaled)
                same_kind = scaled.astype(tiles.dtype, copy=False)
                yield resize(_sum(self._in_all_views(same_kind)), *size)

    def _in_all_views(self, tiles: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        for view in self._looks.views:
            yield as_float(view.undo(self._backend.predict(view.of(tiles))))

    def cancel(self) -> None:
        self._backend.cancel()


def _sum(parts: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Add up arrays that nobody else uses; the first one becomes the sum."""
    total = next(parts)
    for part in parts:
        total += part
    return total


def averaging(backend: Backend, looks: Looks) -> Backend:
    """The backend itself where there is nothing to average."""
    return backend if looks.only_one else AveragingBackend(backend, looks)


def describe_scales(scales: Sequence[float]) -> str:
    """As ``parse_scales`` reads them."""
    return ";".join(f"{each:g}" for each in scales)
