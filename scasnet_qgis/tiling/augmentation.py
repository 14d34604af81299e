"""Test-time augmentation: at which scales, flipped and turned how, the model sees each tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scasnet_qgis.common.choices import FLIPS, FULL, MIRROR, NONE
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import Choice, Text, option

if TYPE_CHECKING:
    import numpy as np
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


def parse_scales(text: str) -> tuple[float, ...]:
    """The scales in a text such as "0.75;1;1.25", ascending and each once; SettingError if none."""
    try:
        scales = {float(word.replace(",", ".")) for word in text.replace(";", " ").split()}
    except ValueError as error:
        raise _no_scales(text) from error
    if not scales or not all(SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in scales):
        raise _no_scales(text)
    return tuple(sorted(scales))


def _no_scales(text: str) -> SettingError:
    return SettingError(
        translate(
            "ScasNet",
            "Invalid scales '{text}': enter numbers from {low:g} to {high:g} separated by "
            "semicolons, such as 0.75;1;1.25.",
        ),
        text=text,
        low=SMALLEST_SCALE,
        high=LARGEST_SCALE,
    )


def describe_scales(scales: Sequence[float]) -> str:
    """As ``parse_scales`` reads them, rounded for people."""
    return ";".join(f"{scale:g}" for scale in scales)


def _exact_scales(scales: Sequence[float]) -> str:
    return ";".join(repr(scale).removesuffix(".0") for scale in scales)


@dataclass(frozen=True)
class Augmentation:
    """The scores of each tile are averaged over all ``scales`` and all views of ``flips``."""

    scales: tuple[float, ...] = option(
        (1.0,),
        "SCALES",
        translate("ScasNet", "Scales to average (e.g. 0.75;1;1.25)"),
        translate(
            "ScasNet",
            "The model is applied at each of these scales, separated by semicolons, and the "
            "scores are averaged. Often slightly more accurate; computing time grows with the "
            "square of the scale, to about three times for 0.75;1;1.25. Only for models that "
            "accept tiles of any size.",
        ),
        Text(),
        advanced=True,
        differs=translate("ScasNet", "the scales differ"),
        stamped=True,
        stamp=lambda augmentation: describe_scales(augmentation.scales),
        parse=parse_scales,
        write=_exact_scales,
    )
    flips: str = option(
        NONE,
        "FLIPS",
        translate("ScasNet", "Average flipped views"),
        translate(
            "ScasNet",
            "The model is applied to flipped and rotated copies of each tile, and the scores are "
            "averaged: mirror adds the tile flipped left to right (2x time), full adds all flips "
            "and quarter turns (8x time). Often slightly more accurate, with smoother edges. On "
            "the command line: FLIPS=mirror.",
        ),
        Choice(FLIPS),
        advanced=True,
        differs=translate("ScasNet", "the flips differ"),
        stamped=True,
    )

    @property
    def views(self) -> tuple[View, ...]:
        return _VIEWS[self.flips]

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to average and nothing to resize."""
        return self.scales == (1.0,) and len(self.views) == 1

    @property
    def cost(self) -> float:
        """About how many times as long the model computes."""
        return sum(scale**2 for scale in self.scales) * len(self.views)

    def largest(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the largest tile that the model gets."""
        return scaled_size(tile, max(self.scales))

    def check(self, fixed_size: tuple[int, int] | None, margin: int) -> None:
        """Raise SettingError where a model with these properties cannot look that way."""
        if self.scales != (1.0,) and (fixed_size is not None or margin):
            raise SettingError(
                translate(
                    "ScasNet",
                    "This model has a fixed tile size and cannot average scales: set the "
                    "scales to 1.",
                )
            )
        turned = any(view.transposed for view in self.views)
        if turned and fixed_size is not None and fixed_size[0] != fixed_size[1]:
            raise SettingError(
                translate(
                    "ScasNet",
                    "This model takes tiles of {rows} x {cols} pixels, which cannot be "
                    "rotated: set the flips to 'mirror' or 'none'.",
                ),
                rows=fixed_size[0],
                cols=fixed_size[1],
            )


NO_AUGMENTATION = Augmentation()


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Rows and columns of a tile at a scale: multiples of what networks reduce by."""
    from scasnet_qgis.tiling.windows import MIN_RASTER_SIZE, SIZE_STEP  # loads numpy

    if scale == 1:
        return size
    rows, cols = (
        max(round(side * scale / SIZE_STEP) * SIZE_STEP, min(side, MIN_RASTER_SIZE))
        for side in size
    )
    return rows, cols
