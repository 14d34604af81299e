"""Labels in a raster, brought onto the grid of another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.footprint import has_place, inverse_of, reference_of, window_on
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.label_class import IGNORE, LabelClass, number_of, reading_labels
from scasnet_qgis.raster.reader import open_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MANY_BANDS = 3  # a value, at most with its alpha; more are an image
_ALIGNED = 0.05  # pixels that a corner may lie off before labels are resampled


def open_labels(source: str) -> gdal.Dataset:
    """Open a raster of class values; InputError where it is an image."""
    dataset = open_raster(source)
    band = dataset.GetRasterBand(1)
    if dataset.RasterCount >= _MANY_BANDS or gdal.DataTypeIsComplex(band.DataType):
        raise InputError(
            translate(
                "ScasNet",
                "The labels {source} have {count} bands: choose a raster with one band that "
                "holds a number for each class.",
            ),
            source=source,
            count=dataset.RasterCount,
        )
    return dataset


class RasterLabels:
    """Windows of a raster of class values on another raster's grid."""

    def __init__(
        self, source: str, grid: Grid, classes: Sequence[LabelClass], *, by_place: bool
    ) -> None:
        self._source, self._grid = source, grid
        self._dataset = open_labels(source)
        with reading_labels(source):
            self._own = Grid.of(self._dataset)  # also makes GDAL read the side files
            self._kind = int(self._dataset.GetRasterBand(1).DataType)
        self._shift = self._find_shift(by_place)
        self._index = _Index(classes, gdal_array.GDALTypeCodeToNumericTypeCode(self._kind))
        self._flat: gdal.Dataset | None = None

    def _find_shift(self, by_place: bool) -> tuple[int, int] | None:
        """Row and column on the grid where the labels begin; None where they do not align."""
        same_size = (self._own.rows, self._own.cols) == (self._grid.rows, self._grid.cols)
        if not by_place or not (has_place(self._own) or has_place(self._grid)):
            if not same_size:
                raise self._differs_in_size()
            return 0, 0
        if not (has_place(self._own) and has_place(self._grid)):
            raise InputError(
                translate(
                    "ScasNet",
                    "Either the raster or its labels {source} have no position on earth: assign "
                    "one, or match them by order instead of by place.",
                ),
                source=self._source,
            )
        own, grid = reference_of(self._own.wkt), reference_of(self._grid.wkt)
        if own is not None and grid is not None and not own.IsSame(grid):
            return None
        return _offset(self._own, self._grid)

    def _differs_in_size(self) -> InputError:
        return InputError(
            translate(
                "ScasNet",
                "The labels {source} have {own_cols} x {own_rows} pixels, but their raster has "
                "{cols} x {rows}: both must be of one size unless they are matched by place.",
            ),
            source=self._source,
            own_cols=self._own.cols,
            own_rows=self._own.rows,
            cols=self._grid.cols,
            rows=self._grid.rows,
        )

    def labelled_window(self) -> Window | None:
        if self._shift is None:
            return window_on(self._grid, self._own, self._own.whole)
        found = self._own.whole.shift(*self._shift).intersect(self._grid.whole)
        return None if found.empty else found

    def read(self, window: Window) -> NDArray[np.uint8]:
        labels = np.full((window.rows, window.cols), IGNORE, dtype=np.uint8)
        covered = self.labelled_window()
        part = window.intersect(covered) if covered else None
        if part is None or part.empty:
            return labels
        with reading_labels(self._source):
            values, holds = self._aligned(part) if self._shift is not None else self._warped(part)
        found = self._index.of(values)
        if holds is not None:
            found[~holds] = IGNORE
        top, left = part.row - window.row, part.col - window.col
        labels[top : top + part.rows, left : left + part.cols] = found
        return labels

    def _aligned(self, part: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        rows, cols = self._shift or (0, 0)
        own = part.shift(-rows, -cols)
        place = (own.col, own.row, own.cols, own.rows)
        return read_values(self._dataset.GetRasterBand(1), place)

    def _warped(self, part: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """The value at the label pixel in which the centre of each pixel lies."""
        if self._flat is None:  # the mask as a band of its own: outside of the labels it is 0
            self._flat = gdal.Translate(
                "", self._dataset, format="VRT", bandList=[1, "mask"], noData="none"
            )
        place = self._grid.part(part)
        target = gdal.GetDriverByName("MEM").Create("", part.cols, part.rows, 0)
        target.AddBand(self._kind)
        target.AddBand(gdal.GDT_Byte)
        target.SetGeoTransform(place.geotransform)
        wkt = place.wkt or self._own.wkt
        target.SetProjection(wkt)
        gdal.Warp(
            target,
            self._flat,
            srcSRS=self._own.wkt or wkt or None,
            resampleAlg="near",
            errorThreshold=0,
        )
        mask = target.GetRasterBand(2).ReadAsArray()
        return target.GetRasterBand(1).ReadAsArray(), mask != 0


def read_values(
    band: gdal.Band, place: tuple[int, int, int, int]
) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """Values [rows, cols] and where they hold data (None: all); ``place``: x, y, width, height."""
    values = band.ReadAsArray(*place)
    if values is None:
        raise RuntimeError(gdal.GetLastErrorMsg())
    if band.GetMaskFlags() & gdal.GMF_ALL_VALID:
        return values, None
    return values, band.GetMaskBand().ReadAsArray(*place) != 0


def _offset(own: Grid, grid: Grid) -> tuple[int, int] | None:
    """Row and column of ``grid`` where ``own`` begins, if its pixels are pixels of the grid."""
    inverse = list(inverse_of(grid))
    col, row = gdal.ApplyGeoTransform(inverse, *own.to_map(0, 0))
    corners = ((0, 0), (own.rows, 0), (0, own.cols))
    for down, right in corners:
        found_col, found_row = gdal.ApplyGeoTransform(inverse, *own.to_map(down, right))
        off = (found_row - round(row) - down, found_col - round(col) - right)
        if max(map(abs, off)) > _ALIGNED:
            return None
    return round(row), round(col)


class _Index:
    """From values of one type to positions in a list of classes."""

    def __init__(self, classes: Sequence[LabelClass], kind: type) -> None:
        numbers = [(number_of(label.value), index) for index, label in enumerate(classes)]
        known = {
            value: index
            for number, index in reversed(numbers)  # of two classes of one value, the first
            if number is not None and (value := _as(kind, number)) is not None
        }
        self._values: NDArray[np.generic] = np.array(sorted(known), dtype=kind)
        self._classes = np.array([known[number] for number in sorted(known)], dtype=np.uint8)
        self._table = self._search(np.arange(256, dtype=kind)) if kind is np.uint8 else None

    def of(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        return self._search(values) if self._table is None else self._table[values]

    def _search(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        if not self._values.size:
            return np.full(values.shape, IGNORE, dtype=np.uint8)
        place = np.searchsorted(self._values, values).clip(max=len(self._values) - 1)
        hit = self._values[place] == values
        return np.where(hit, self._classes[place], np.uint8(IGNORE))


def _as(kind: type, number: float | int) -> float | int | None:
    """A number as an array of this type holds it; None where it holds none like it."""
    dtype: np.dtype[Any] = np.dtype(kind)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = isinstance(number, int) or number.is_integer()
        return int(number) if whole and limits.min <= number <= limits.max else None
    return float(dtype.type(number))
