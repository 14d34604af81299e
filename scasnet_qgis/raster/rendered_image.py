"""Reads windows of a layer that is rendered block by block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.card import ModelCard
from scasnet_qgis.core.messages import Message
from scasnet_qgis.core.preprocessing import Scaling, part_of
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.value_range import ValueRange
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.bands import advised_bands, assign_bands
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.mask import MaskRule
from scasnet_qgis.raster.rendered_grid import BLOCK
from scasnet_qgis.raster.values import scaling_of
from scasnet_qgis.raster.walk import windows_over

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RGB = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand)
_ALPHA = 4  # the number of the band
_MIN_OPAQUE = 128  # from here on a pixel is more there than not
_MAX_BLOCKS = 32  # blocks of 1 MiB: what tiles side by side share


class Painter(Protocol):
    """What draws a part of a layer; used from one thread only."""

    requests: int  # that have gone over the network so far

    def paint(self, part: Grid, progress: Progress) -> NDArray[np.uint8]:
        """Red, green, blue and alpha [4, rows, cols]; colours are not multiplied by alpha.

        Raises InputError where the layer cannot be drawn in full, and Cancelled soon after
        ``progress.cancelled`` turns true.
        """


class RenderedImage:
    """An image whose pixels are drawn as they are asked for (see raster/image.py).

    Always the same whole blocks of the grid are drawn, whatever the windows: how tiles of a service
    are resampled depends, in the last digit, on where a drawing begins.
    """

    block_rows = BLOCK
    marks_gaps = True
    has_palette = False
    warnings: Sequence[Message] = ()
    is_byte = True
    is_local = False
    bits: int | None = None
    rule = MaskRule("alpha", alpha=_ALPHA)

    def __init__(
        self,
        painter: Painter,
        grid: Grid,
        wanted: Sequence[str],
        chosen: Sequence[int],
        progress: Progress,
    ) -> None:
        """``wanted`` are names of the model's bands, ``chosen`` the user's band numbers, or none.

        Raises InputError where the model needs more than red, green and blue, SettingError where a
        chosen band does not exist.
        """
        self._painter, self.grid, self._progress = painter, grid, progress
        self.bands = assign_bands(_colour_file(), wanted, chosen)
        self.advised_bands = advised_bands(_colour_file(), wanted)
        self._blocks: OrderedDict[Window, NDArray[np.uint8]] = OrderedDict()

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def carried(self, overlap: int) -> int:
        return len(self.bands) * (overlap + BLOCK)

    def cache_for(self, _tile: tuple[int, int]) -> int:
        return 0  # GDAL reads none of it

    def scaling(self, card: ModelCard, given: ValueRange | None = None) -> Scaling:
        return scaling_of(self, card, given, self._progress)

    def may_hold_data(self, _window: Window) -> bool:
        return True  # nobody knows before it is drawn

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        pixels = np.empty((len(self.bands), window.rows, window.cols), dtype=np.uint8)
        valid = np.empty((window.rows, window.cols), dtype=np.bool_)
        indices = [number - 1 for number in self.bands]
        for block in blocks_over(window):
            common = block.intersect(window)
            rendered = self._rendered_block(block)[part_of(common, block)]
            pixels[part_of(common, window)] = rendered[indices]
            valid[part_of(common, window)[1:]] = rendered[_ALPHA - 1] >= _MIN_OPAQUE
        return pixels, None if valid.all() else valid

    def _rendered_block(self, block: Window) -> NDArray[np.uint8]:
        found = self._blocks.get(block)
        if found is None:
            self._progress.check()
            found = self._painter.paint(self.grid.part(block), self._progress)
            self._blocks[block] = found
            if len(self._blocks) > _MAX_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(block)
        return found


def blocks_over(window: Window) -> Iterator[Window]:
    """The whole blocks of a grid that a window touches, row by row."""
    for part in windows_over(window, BLOCK):
        yield Window(part.row // BLOCK * BLOCK, part.col // BLOCK * BLOCK, BLOCK, BLOCK)


def _colour_file() -> gdal.Dataset:
    """A file with a red, a green and a blue band."""
    file = gdal.GetDriverByName("MEM").Create("", 1, 1, len(_RGB))
    for number, colour in enumerate(_RGB, start=1):
        file.GetRasterBand(number).SetColorInterpretation(colour)
    return file
