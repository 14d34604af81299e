"""A raster that is read in windows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.core.card import ModelCard
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.preprocessing import Scaling
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.bands import assign_bands
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.mask import MaskRule, mask_rule, read_mask, refuse_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 1024  # rows and columns of the reduced raster that percentiles are taken from
_PERCENTILES = (2.0, 98.0)


def open_raster(source: str) -> gdal.Dataset:
    """Open a raster for reading; raises InputError with a sentence where that fails."""
    try:
        dataset = gdal.OpenEx(source, gdal.OF_RASTER)
    except RuntimeError as error:
        raise InputError(_why_not(source), str(error)) from error
    if dataset is None:
        raise InputError(_why_not(source), gdal.GetLastErrorMsg())
    if dataset.RasterCount == 0:
        raise InputError(f"{source} holds no raster bands: choose one of its sublayers.")
    return dataset


def _why_not(source: str) -> str:
    if os.path.sep in source and not source.startswith("/vsi") and not Path(source).exists():
        return f"The raster {source} does not exist."
    return f"The raster {source} cannot be read: it is damaged or no raster that GDAL knows."


@contextmanager
def _reading(place: str = "") -> Iterator[None]:
    """Turn what GDAL raises, or what follows from its None, into an InputError."""
    try:
        yield
    except (RuntimeError, AttributeError, TypeError) as error:
        raise InputError(
            f"The raster cannot be read{place}: the file is damaged or no longer reachable.",
            str(error),
        ) from error


class RasterReader:
    """Windows of chosen bands of a raster, with the mask of pixels that hold data.

    Not safe for use from several threads at a time.
    """

    def __init__(
        self, source: str, wanted: Sequence[str], chosen: Sequence[int], progress: Progress
    ) -> None:
        """``wanted``: names of the model's bands; ``chosen``: the user's band numbers, or none."""
        self._dataset = open_raster(source)
        self.grid = Grid.of(self._dataset)
        _refuse_palette(self._dataset)
        self.bands = assign_bands(self._dataset, wanted, chosen)
        self._kind = _common_type(self._dataset, self.bands)
        self.is_byte = self._kind == gdal.GDT_Byte and not _has_few_bits(self._dataset, self.bands)
        with _reading():
            if not chosen:
                refuse_masks(self._dataset, self.bands, wanted, progress)
            self.rule: MaskRule = mask_rule(self._dataset, self.bands, progress)

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all)."""
        with _reading(f" at row {window.row}, column {window.col}"):
            return self._read(window, window.rows, window.cols)

    def _read(
        self, window: Window, rows: int, cols: int
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """A window, reduced to ``rows`` x ``cols`` pixels."""
        data = self._dataset.ReadRaster(  # Dataset.ReadAsArray takes no list of bands in GDAL 3.2
            window.col,
            window.row,
            window.cols,
            window.rows,
            buf_xsize=cols,
            buf_ysize=rows,
            buf_type=self._kind,
            band_list=self.bands,
        )
        dtype = gdal_array.GDALTypeCodeToNumericTypeCode(self._kind)
        pixels = np.frombuffer(data, dtype=dtype).reshape(len(self.bands), rows, cols)
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
            rule = f"Values are scaled by the model's range, {low:g} to {high:g}."
            return Scaling((low,) * count, (high,) * count, tuple(fill), rule)
        lows, highs = self._percentiles()
        limits = ", ".join(f"{a:g} to {b:g}" for a, b in zip(lows, highs))
        rule = (
            "The raster is not 8-bit, but the model was trained on 8-bit images: each band is "
            f"scaled by its {_PERCENTILES[0]:g} and {_PERCENTILES[1]:g} percentiles over the whole "
            f"raster ({limits})."
        )
        return Scaling(tuple(lows), tuple(highs), tuple(fill), rule)

    def _percentiles(self) -> tuple[list[float], list[float]]:
        rows, cols = min(self.grid.rows, _SAMPLE), min(self.grid.cols, _SAMPLE)
        with _reading():
            sample, valid = self._read(self.grid.whole, rows, cols)
        lows, highs = [], []
        for band in sample:
            values = band[np.isfinite(band) & (True if valid is None else valid)]
            low, high = np.percentile(values, _PERCENTILES) if values.size else (0.0, 1.0)
            lows.append(float(low))
            highs.append(float(high) if high > low else float(low) + 1.0)
        return lows, highs


def _refuse_palette(dataset: gdal.Dataset) -> None:
    if dataset.GetRasterBand(1).GetColorInterpretation() == gdal.GCI_PaletteIndex:
        raise InputError(
            "The raster holds numbers of a colour palette, not colours: convert it first with "
            "Raster > Conversion > PCT to RGB."
        )


def _common_type(dataset: gdal.Dataset, bands: Sequence[int]) -> int:
    """GDAL's data type that holds the values of all ``bands``; InputError for complex ones."""
    kinds = {dataset.GetRasterBand(number).DataType for number in bands}
    if any(gdal.DataTypeIsComplex(kind) for kind in kinds):
        raise InputError(
            "The raster holds complex numbers (radar?): convert it to real values first."
        )
    return int(kinds.pop()) if len(kinds) == 1 else int(gdal.GDT_Float64)


def _has_few_bits(dataset: gdal.Dataset, bands: Sequence[int]) -> bool:
    """Whether bytes are stored with fewer than 8 bits, so that 255 is not their white."""
    bits = (
        dataset.GetRasterBand(number).GetMetadataItem("NBITS", "IMAGE_STRUCTURE")
        for number in bands
    )
    return any(each is not None and int(each) < 8 for each in bits)
