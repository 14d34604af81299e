"""Warns of black corners, as warping leaves them, in a raster without nodata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CORNER_SIZE = 3  # pixels; an image turned by half a degree has larger corners from 400 pixels on
_MIN_BLACK = 2  # of the four corners; one may well lie in a deep shadow

Read = Callable[[Window], "tuple[NDArray[Any], NDArray[Any] | None]"]


def black_corners_warning(grid: Grid, read: Read) -> Message | None:
    """A sentence where corners of the raster are 0 in every band that ``read`` gives.

    For rasters that mark no pixels as without data.
    """
    try:
        black = sum(not read(corner)[0].any() for corner in _corners(grid))
    except InputError:  # the run says so, should it ever get there
        return None
    if black < _MIN_BLACK:
        return None
    text = translate(
        "ScasNet",
        "Corners of the raster are black (0 in every band used), as pixels without data often are, "
        "but nothing marks them as such, so they are mapped like all others. If they hold no data, "
        "give the raster the nodata value 0 (Raster > Conversion > Translate), or warp the image "
        "again with an alpha band (-dstalpha).",
    )
    return message(text)


def _corners(grid: Grid) -> Iterator[Window]:
    """Squares in the four corners; none where they would overlap."""
    if min(grid.rows, grid.cols) < 2 * _CORNER_SIZE:
        return
    for row in (0, grid.rows - _CORNER_SIZE):
        for col in (0, grid.cols - _CORNER_SIZE):
            yield Window(row, col, _CORNER_SIZE, _CORNER_SIZE)
