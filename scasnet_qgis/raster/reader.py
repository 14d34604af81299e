"""A raster that is read in windows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.core.card import ModelCard
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.preprocessing import Scaling
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.bands import assign_bands
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.mask import MaskRule, mask_rule, read_mask, refuse_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Percentiles are taken from windows of this many pixels each way, spread evenly over the raster in
# a grid of so many at most each way; the finer grid is for rasters that are nearly all nodata.
_SAMPLE = 64
_SAMPLE_GRIDS = (16, 64)
_ENOUGH = 100_000  # pixels with data that percentiles can be taken from
_PERCENTILES = (2.0, 98.0)
_TALLEST_BLOCK = 512  # rows; of larger ones, a file in one piece say, no whole ones are read


def open_raster(source: str) -> gdal.Dataset:
    """Open a raster for reading; raises InputError with a sentence where that fails."""
    try:
        dataset = gdal.OpenEx(source, gdal.OF_RASTER)
    except RuntimeError as error:
        raise _not_opened(source, str(error)) from error
    if dataset is None:
        raise _not_opened(source, gdal.GetLastErrorMsg())
    if dataset.RasterCount == 0:
        raise InputError(
            translate("ScasNet", "{source} holds no raster bands: choose one of its sublayers."),
            source=source,
        )
    return dataset


def files_of(source: str) -> list[str]:
    """The files that a raster is made of, also those behind virtual rasters in virtual rasters."""
    found: dict[str, None] = {}  # in order; a mosaic may have tens of thousands
    waiting = [source]
    while waiting:
        name = waiting.pop()
        try:
            dataset = open_raster(name)
        except InputError:  # a side file, or a source that is missing
            continue
        fresh = [each for each in dataset.GetFileList() or [] if each not in found]
        found.update(dict.fromkeys(fresh))
        if dataset.GetDriver().ShortName == "VRT":
            waiting += [each for each in fresh if each != name]
    return list(found)


def _not_opened(source: str, detail: str) -> InputError:
    text = translate(
        "ScasNet",
        "The raster {source} cannot be read: it is damaged or no raster that GDAL knows.",
    )
    if os.path.sep in source and not source.startswith("/vsi") and not Path(source).exists():
        text = translate("ScasNet", "The raster {source} does not exist.")
    return InputError(text, detail, source=source)


@contextmanager
def _reading(window: Window | None = None) -> Iterator[None]:
    """Turn what GDAL raises, or what follows from its None, into an InputError."""
    try:
        yield
    except (RuntimeError, AttributeError, TypeError) as error:
        if window is None:
            text = translate(
                "ScasNet",
                "The raster cannot be read: the file is damaged or no longer reachable.",
            )
            raise InputError(text, str(error)) from error
        text = translate(
            "ScasNet",
            "The raster cannot be read at row {row}, column {col}: the file is damaged or no "
            "longer reachable.",
        )
        raise InputError(text, str(error), row=window.row, col=window.col) from error


class RasterReader:
    """Windows of chosen bands of a raster, with the mask of pixels that hold data.

    Not safe for use from several threads at a time.
    """

    def __init__(
        self, source: str, wanted: Sequence[str], chosen: Sequence[int], progress: Progress
    ) -> None:
        """``wanted``: names of the model's bands; ``chosen``: the user's band numbers, or none."""
        self._dataset, self._progress = open_raster(source), progress
        self.grid = Grid.of(self._dataset)
        _refuse_palette(self._dataset)
        self.bands = assign_bands(self._dataset, wanted, chosen)
        self._kind = _common_type(self._dataset, self.bands)
        self.is_byte = self._kind == gdal.GDT_Byte and not _has_few_bits(self._dataset, self.bands)
        block_rows = int(self._dataset.GetRasterBand(self.bands[0]).GetBlockSize()[1])
        self.block_rows = block_rows if block_rows <= _TALLEST_BLOCK else 1
        with _reading():
            if not chosen:
                refuse_masks(self._dataset, self.bands, wanted, progress)
            self.rule: MaskRule = mask_rule(self._dataset, self.bands, progress)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy's type of the values."""
        return np.dtype(gdal_array.GDALTypeCodeToNumericTypeCode(self._kind))

    @property
    def marks_gaps(self) -> bool:
        """Whether a pixel of the raster can be without data; NaN says so, too."""
        return self.rule.kind != "none" or np.issubdtype(self.dtype, np.floating)

    def carried(self, overlap: int) -> int:
        """Bytes that a column of rows read ahead takes, see core/carrying.py."""
        return len(self.bands) * self.dtype.itemsize * (overlap + self.block_rows)

    @property
    def has_only_control_points(self) -> bool:
        """Whether the raster has a position, but no geotransform that a map could take over."""
        return bool(self._dataset.GetGCPCount()) and self.grid.geotransform is None

    def cache_for(self, tile: tuple[int, int]) -> int:
        """Bytes of GDAL's cache with which tiles (rows, cols) need no block twice.

        Where a block is as wide as the raster, all tiles of a row need it: so many bytes are more
        than GDAL should be given for a very wide one (see raster/session.py).
        """
        band = self._dataset.GetRasterBand(self.bands[0])
        block_cols, block_rows = band.GetBlockSize()
        cols = min(tile[1] + 2 * block_cols, self.grid.cols + block_cols)
        if 2 * block_cols > self.grid.cols:
            cols = self.grid.cols
        pixel_bytes = self._dataset.RasterCount * gdal.GetDataTypeSize(band.DataType) // 8
        return int((tile[0] + 2 * min(block_rows, self.grid.rows)) * cols * max(pixel_bytes, 1))

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all)."""
        with _reading(window):
            return self._read(window)

    def _read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        data = self._dataset.ReadRaster(  # Dataset.ReadAsArray takes no list of bands in GDAL 3.2
            window.col,
            window.row,
            window.cols,
            window.rows,
            buf_type=self._kind,
            band_list=self.bands,
        )
        pixels = np.frombuffer(data, dtype=self.dtype).reshape(
            len(self.bands), window.rows, window.cols
        )
        return pixels, read_mask(self._dataset, self.rule, self.bands, window, pixels)

    def scaling(self, card: ModelCard) -> Scaling:
        """How this raster's values become the model's input.

        8-bit rasters, and rasters for a model that was trained on other than 8-bit values, are
        scaled by the card's value range; others by percentiles of the whole raster.
        """
        count = len(self.bands)
        fill = card.mean if card.mean and len(card.mean) == count else (0.5,) * count
        low, high = card.value_range
        if self.is_byte or (low, high) != (0.0, 255.0):
            text = translate(
                "ScasNet", "Values are scaled by the model's range, {low:g} to {high:g}."
            )
            rule = message(text, low=low, high=high)
            return Scaling((low,) * count, (high,) * count, tuple(fill), rule)
        lows, highs = self._percentiles()
        limits = ", ".join(f"{a:g} to {b:g}" for a, b in zip(lows, highs))
        text = translate(
            "ScasNet",
            "The raster is not 8-bit, but the model was trained on 8-bit images: each band is "
            "scaled by its {first:g} and {last:g} percentiles over the whole raster ({limits}).",
        )
        first, last = _PERCENTILES
        rule = message(text, first=first, last=last, limits=limits)
        return Scaling(tuple(lows), tuple(highs), tuple(fill), rule)

    def _percentiles(self) -> tuple[list[float], list[float]]:
        lows, highs = [], []
        for values in self._sample():
            low, high = np.percentile(values, _PERCENTILES) if values.size else (0.0, 1.0)
            lows.append(float(low))
            highs.append(float(high) if high > low else float(low) + 1.0)
        return lows, highs

    def _sample(self) -> list[NDArray[Any]]:
        """Finite values of pixels with data, band by band, from all over the raster.

        Reading all of a large raster would take minutes, in one call that cannot be stopped.
        """
        found: list[NDArray[Any]] = []
        for grid in _SAMPLE_GRIDS:
            parts: list[list[NDArray[Any]]] = [[] for _ in self.bands]
            for window in _spread(self.grid, grid):
                self._progress.check()
                pixels, valid = self.read(window)
                for part, band in zip(parts, pixels):
                    part.append(band[np.isfinite(band) & (True if valid is None else valid)])
            found = [np.concatenate(part) for part in parts]
            if min(values.size for values in found) >= _ENOUGH:
                break
        return found


def _spread(grid: Grid, count: int) -> Iterator[Window]:
    """Windows over all of a raster, or in the middle of ``count`` parts where it is longer."""
    for row in _starts(grid.rows, count):
        for col in _starts(grid.cols, count):
            yield Window(row, col, _SAMPLE, _SAMPLE).intersect(grid.whole)


def _starts(length: int, count: int) -> list[int]:
    if length <= count * _SAMPLE:
        return list(range(0, length, _SAMPLE))
    return [(2 * index + 1) * length // (2 * count) - _SAMPLE // 2 for index in range(count)]


def _refuse_palette(dataset: gdal.Dataset) -> None:
    if dataset.GetRasterBand(1).GetColorInterpretation() == gdal.GCI_PaletteIndex:
        raise InputError(
            translate(
                "ScasNet",
                "The raster holds numbers of a colour palette, not colours: convert it first "
                "with Raster > Conversion > PCT to RGB.",
            )
        )


def _common_type(dataset: gdal.Dataset, bands: Sequence[int]) -> int:
    """GDAL's data type that holds the values of all ``bands``; InputError for complex ones."""
    kinds = {dataset.GetRasterBand(number).DataType for number in bands}
    if any(gdal.DataTypeIsComplex(kind) for kind in kinds):
        raise InputError(
            translate(
                "ScasNet",
                "The raster holds complex numbers (radar?): convert it to real values first.",
            )
        )
    return int(kinds.pop()) if len(kinds) == 1 else int(gdal.GDT_Float64)


def _has_few_bits(dataset: gdal.Dataset, bands: Sequence[int]) -> bool:
    """Whether bytes are stored with fewer than 8 bits, so that 255 is not their white."""
    bits = (
        dataset.GetRasterBand(number).GetMetadataItem("NBITS", "IMAGE_STRUCTURE")
        for number in bands
    )
    return any(each is not None and int(each) < 8 for each in bits)
