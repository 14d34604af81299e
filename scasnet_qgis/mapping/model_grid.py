"""The ground resolution of an image, and what a model is shown that was trained at another one."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10, sqrt

from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.tiling.resampling import AxisResampling
from scasnet_qgis.tiling.windows import Window

SLACK = 0.05  # of the range the card states, before an image counts as outside it
# Times the coarsest resolution of the card: detail that is not there cannot be made up. From the
# first on a run warns, from the second on nothing is resampled.
COARSE, TOO_COARSE = 2.0, 2.5
FINE = 8.0  # times as fine as the card's finest: such an image shows other things


@dataclass(frozen=True)
class ModelGrid:
    """The pixels that the model sees where they are not the raster's own.

    They cut the same ground into others, ``resolution`` metres long both ways. ``down`` and
    ``across`` link them to the raster's, which are ``source`` metres (down, across) long.
    """

    down: AxisResampling
    across: AxisResampling
    source: tuple[float, float]
    resolution: float

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the whole raster."""
        return self.down.target, self.across.target

    @property
    def whole(self) -> Window:
        return Window(0, 0, *self.size)

    @property
    def area(self) -> Window:
        """What of it the mapped part lies in."""
        return Window(
            self.down.target_start,
            self.across.target_start,
            self.down.target_count,
            self.across.target_count,
        )


def model_grid(card: ModelCard, grid: Grid, area: Window) -> ModelGrid | None:
    """What the model should see of a raster of which ``area`` is mapped; None: its own pixels.

    So it is where either of both states no resolution in metres, where the raster's lies in the
    card's range both ways, and where it is far too coarse. Else the model sees square pixels: as
    the one side that lies in the range, or of the geometric mean of the range.
    """
    lengths = grid.part(area).pixel_lengths
    if card.resolution is None or lengths is None:
        return None
    low, high = card.resolution
    fitting = [length for length in lengths if _fits(length, card.resolution)]
    if len(fitting) == 2 or not 0 < min(lengths) <= max(lengths) <= TOO_COARSE * high:
        return None
    wanted = fitting[0] if fitting else sqrt(low * high)
    rows = max(round(grid.rows * lengths[0] / wanted), 1)
    cols = max(round(grid.cols * lengths[1] / wanted), 1)
    if (rows, cols) == (grid.rows, grid.cols):
        return None
    return ModelGrid(
        AxisResampling(grid.rows, rows, area.row, area.rows),
        AxisResampling(grid.cols, cols, area.col, area.cols),
        lengths,
        wanted,
    )


def _fits(length: float, resolution: tuple[float, float]) -> bool:
    return resolution[0] * (1 - SLACK) <= length <= resolution[1] * (1 + SLACK)


def log_resolution(
    seen: ModelGrid | None, card: ModelCard, grid: Grid, area: Window, progress: Progress
) -> None:
    """From what to what the image is brought, and a warning where that is a long way or undone."""
    lengths = grid.part(area).pixel_lengths
    if card.resolution is None or lengths is None:
        return
    if seen is not None:
        text = translate(
            "ScasNet",
            "The image ({here}) is resampled to the model's ground resolution ({there} m, "
            "trained at {low:g} to {high:g} m; {cols} columns x {rows} rows). The map keeps"
            " the image's pixels.",
        )
        low, high = card.resolution
        sizes = {"rows": seen.area.rows, "cols": seen.area.cols}
        there = _digits(seen.resolution, 4)
        here = _shown(lengths)
        progress.info(message(text, here=here, low=low, high=high, there=there, **sizes))
    warning = _warning(seen, card.resolution, lengths)
    if warning is not None:
        progress.warn(warning)


def _warning(
    seen: ModelGrid | None, resolution: tuple[float, float], lengths: tuple[float, float]
) -> Message | None:
    low, high = resolution
    if seen is None:
        if all(_fits(length, resolution) for length in lengths):
            return None
        text = translate(
            "ScasNet",
            "The image has a ground resolution of {here}, but the model was trained at "
            "{low:g} to {high:g} m, and resampling is off: expect lower accuracy.",
        )
    elif max(lengths) > COARSE * high:
        text = translate(
            "ScasNet",
            "The image has a ground resolution of {here}, much coarser than the model's "
            "{low:g} to {high:g} m: expect lower accuracy.",
        )
    elif min(lengths) < low / FINE:
        text = translate(
            "ScasNet",
            "The image has a ground resolution of {here}, much finer than the model's "
            "{low:g} to {high:g} m: a model trained on such images would show more detail.",
        )
    else:
        return None
    return message(text, here=_shown(lengths), low=low, high=high)


def _shown(lengths: tuple[float, float]) -> Message:
    """Metres; both sides where pixels are not square."""
    down, across = lengths
    if abs(down - across) < 0.01 * max(lengths):
        text = translate("ScasNet", "{length} m")
        return message(text, length=_digits(sqrt(down * across), 3))
    text = translate("ScasNet", "{across} m across and {down} m down")
    return message(text, down=_digits(down, 3), across=_digits(across, 3))


def _digits(length: float, count: int) -> str:
    """With so many significant digits, none of them in an exponent, and no zeros at the end."""
    decimals = max(count - 1 - floor(log10(length)), 0)
    return f"{length:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{length:.0f}"
