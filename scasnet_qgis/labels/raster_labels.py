"""Labels of a raster, resampled (nearest) onto the grid of another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import MAX_CLASSES
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid, inverse_of
from scasnet_qgis.images.reader import open_raster
from scasnet_qgis.labels.label_class import (
    IGNORE,
    LabelClass,
    by_number,
    make_classes,
    number_of,
    reading_labels,
    too_many_classes,
    value_text,
)
from scasnet_qgis.labels.vectors.grid_transform import has_place, reference_of, window_on
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IMAGE_BANDS = 3  # a value, at most with its alpha; more are an image
_ALIGNMENT_TOLERANCE = 0.05  # pixels that a corner may lie off before labels are resampled


def open_labels(source: str) -> gdal.Dataset:
    """Open a raster of class values; InputError where it is an image."""
    dataset = open_raster(source)
    band = dataset.GetRasterBand(1)
    if dataset.RasterCount >= _IMAGE_BANDS or gdal.DataTypeIsComplex(band.DataType):
        raise InputError(
            translate(
                "ScasNet",
                "Labels {source} have {count} bands: choose a raster with one band of "
                "class values.",
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
            self._source_grid = Grid.of(self._dataset)  # also makes GDAL read the side files
            self._gdal_type = int(self._dataset.GetRasterBand(1).DataType)
        self._offset_in_grid = self._find_offset(by_place)
        self._class_index = _ClassIndex(
            classes, gdal_array.GDALTypeCodeToNumericTypeCode(self._gdal_type)
        )
        self._with_mask: gdal.Dataset | None = None

    def _find_offset(self, by_place: bool) -> tuple[int, int] | None:
        """Row and column on the grid where the labels begin; None where they do not align."""
        same_size = (self._source_grid.rows, self._source_grid.cols) == (
            self._grid.rows,
            self._grid.cols,
        )
        if not by_place or not (has_place(self._source_grid) or has_place(self._grid)):
            if not same_size:
                raise InputError(
                    translate(
                        "ScasNet",
                        "Labels {source} have {own_cols} x {own_rows} pixels, but the raster has "
                        "{cols} x {rows}: both must have the same size unless they are matched "
                        "by position.",
                    ),
                    source=self._source,
                    own_cols=self._source_grid.cols,
                    own_rows=self._source_grid.rows,
                    cols=self._grid.cols,
                    rows=self._grid.rows,
                )
            return 0, 0
        if not (has_place(self._source_grid) and has_place(self._grid)):
            raise InputError(
                translate(
                    "ScasNet",
                    "The raster or its labels {source} are not georeferenced: "
                    "georeference them, or match labels by order.",
                ),
                source=self._source,
            )
        source_crs, grid_crs = reference_of(self._source_grid.wkt), reference_of(self._grid.wkt)
        if source_crs is not None and grid_crs is not None and not source_crs.IsSame(grid_crs):
            return None
        return _pixel_offset(self._source_grid, self._grid)

    def labelled_window(self) -> Window | None:
        if self._offset_in_grid is None:
            return window_on(self._grid, self._source_grid, self._source_grid.whole)
        found = self._source_grid.whole.shift(*self._offset_in_grid).intersect(self._grid.whole)
        return None if found.empty else found

    def read(self, window: Window) -> NDArray[np.uint8]:
        labels = np.full((window.rows, window.cols), IGNORE, dtype=np.uint8)
        covered = self.labelled_window()
        overlap = window.intersect(covered) if covered else None
        if overlap is None or overlap.empty:
            return labels
        with reading_labels(self._source):
            values, valid = (
                self._aligned(overlap)
                if self._offset_in_grid is not None
                else self._warped(overlap)
            )
        found = self._class_index.of(values)
        if valid is not None:
            found[~valid] = IGNORE
        top, left = overlap.row - window.row, overlap.col - window.col
        labels[top : top + overlap.rows, left : left + overlap.cols] = found
        return labels

    def _aligned(self, part: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        rows, cols = self._offset_in_grid or (0, 0)
        source_window = part.shift(-rows, -cols)
        region = (source_window.col, source_window.row, source_window.cols, source_window.rows)
        return read_values(self._dataset.GetRasterBand(1), region)

    def _warped(self, part: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """The value at the label pixel in which the centre of each pixel lies."""
        if self._with_mask is None:  # the mask as a band of its own: outside of the labels it is 0
            self._with_mask = gdal.Translate(
                "", self._dataset, format="VRT", bandList=[1, "mask"], noData="none"
            )
        target_grid = self._grid.part(part)
        target = gdal.GetDriverByName("MEM").Create("", part.cols, part.rows, 0)
        target.AddBand(self._gdal_type)
        target.AddBand(gdal.GDT_Byte)
        target.SetGeoTransform(target_grid.geotransform)
        wkt = target_grid.wkt or self._source_grid.wkt
        target.SetProjection(wkt)
        gdal.Warp(
            target,
            self._with_mask,
            srcSRS=self._source_grid.wkt or wkt or None,
            resampleAlg="near",
            errorThreshold=0,
        )
        mask = target.GetRasterBand(2).ReadAsArray()
        return target.GetRasterBand(1).ReadAsArray(), mask != 0


def read_values(
    band: gdal.Band, region: tuple[int, int, int, int]
) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """Values [rows, cols] and where they hold data (None: all); ``region``: x, y, width, height."""
    values = band.ReadAsArray(*region)
    if values is None:
        raise RuntimeError(gdal.GetLastErrorMsg())
    if band.GetMaskFlags() & gdal.GMF_ALL_VALID:
        return values, None
    return values, band.GetMaskBand().ReadAsArray(*region) != 0


def _pixel_offset(source: Grid, grid: Grid) -> tuple[int, int] | None:
    """Row and column of ``grid`` where ``source`` begins, if its pixels are pixels of the grid."""
    inverse = list(inverse_of(grid))
    col, row = gdal.ApplyGeoTransform(inverse, *source.to_map(0, 0))
    corners = ((0, 0), (source.rows, 0), (0, source.cols))
    for down, right in corners:
        found_col, found_row = gdal.ApplyGeoTransform(inverse, *source.to_map(down, right))
        off = (found_row - round(row) - down, found_col - round(col) - right)
        if max(map(abs, off)) > _ALIGNMENT_TOLERANCE:
            return None
    return round(row), round(col)


class _ClassIndex:
    """From values of one type to positions in a list of classes."""

    def __init__(self, classes: Sequence[LabelClass], scalar_type: type) -> None:
        numbers = [(number_of(label.value), index) for index, label in enumerate(classes)]
        known = {
            value: index
            for number, index in reversed(numbers)  # of two classes of one value, the first
            if number is not None and (value := _as_dtype(scalar_type, number)) is not None
        }
        self._values: NDArray[np.generic] = np.array(sorted(known), dtype=scalar_type)
        self._classes = np.array([known[number] for number in sorted(known)], dtype=np.uint8)
        self._table = (
            self._search(np.arange(256, dtype=scalar_type)) if scalar_type is np.uint8 else None
        )

    def of(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        return self._search(values) if self._table is None else self._table[values]

    def _search(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        if not self._values.size:
            return np.full(values.shape, IGNORE, dtype=np.uint8)
        index = np.searchsorted(self._values, values).clip(max=len(self._values) - 1)
        hit = self._values[index] == values
        return np.where(hit, self._classes[index], np.uint8(IGNORE))


def _as_dtype(scalar_type: type, number: float | int) -> float | int | None:
    """A number as an array of this type holds it; None where it holds none like it."""
    dtype: np.dtype[Any] = np.dtype(scalar_type)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = isinstance(number, int) or number.is_integer()
        return int(number) if whole and limits.min <= number <= limits.max else None
    return float(dtype.type(number))


_SCAN_ROWS, _SCAN_COLS = 512, 2048  # pixels looked at in one go
_VALUE_NAMES = ("value", "id", "class_id", "code")
_CLASS_NAMES = ("class_name", "class_names", "classname", "class", "name", "label", "category")


def raster_classes(source: str, progress: Progress) -> list[LabelClass]:
    """Classes in the order of their values; the raster's nodata value is none of them.

    Values with a name in the category names or in the attribute table are the classes; where
    there are no names, all values that occur.
    """
    dataset = open_labels(source)
    with reading_labels(source):
        dataset.GetGeoTransform()  # else GDAL 3.6 does not see the category names of a GeoTIFF
        band = dataset.GetRasterBand(1)
        table = _AttributeTable(band.GetDefaultRAT())
        names = {**table.names(), **_category_names(band)}
        colors = {**table.colors(), **_color_table(band)}
        nodata = band.GetNoDataValue()
        values = set(names) or _distinct_values(band, source, progress)
    if nodata is not None:
        values.discard(value_text(float(nodata)))
    return make_classes(by_number(values), names, colors, source)


def _category_names(band: gdal.Band) -> dict[str, str]:
    names = band.GetCategoryNames() or []
    return {str(value): name.strip() for value, name in enumerate(names) if name.strip()}


def _color_table(band: gdal.Band) -> dict[str, str]:
    table = band.GetColorTable()
    if table is None:
        return {}
    entries = ((value, table.GetColorEntry(value)) for value in range(table.GetCount()))
    return {str(value): _hex(entry[:3]) for value, entry in entries if entry[3]}


def _hex(rgb: Iterable[float]) -> str:
    return "#" + "".join(f"{min(max(round(part), 0), 255):02x}" for part in rgb)


class _AttributeTable:
    """A raster attribute table, of which columns are known by their use or by their name."""

    def __init__(self, table: gdal.RasterAttributeTable | None) -> None:
        self._table = table
        rows = 0 if table is None else table.GetRowCount()
        value = self._column((gdal.GFU_MinMax, gdal.GFU_Min), _VALUE_NAMES)
        self._rows = {} if value is None else {self._text(row, value): row for row in range(rows)}

    def _column(self, uses: tuple[int, ...], names: tuple[str, ...] = ()) -> int | None:
        if self._table is None:
            return None
        columns = range(self._table.GetColumnCount())
        for use in uses:
            for column in columns:
                if self._table.GetUsageOfCol(column) == use:
                    return column
        headings = [self._table.GetNameOfCol(column).strip().lower() for column in columns]
        return next((headings.index(name) for name in names if name in headings), None)

    def _text(self, row: int, column: int) -> str:
        table: Any = self._table
        if table.GetTypeOfCol(column) == gdal.GFT_Real:
            return value_text(float(table.GetValueAsDouble(row, column)))
        return value_text(table.GetValueAsString(row, column))

    def names(self) -> dict[str, str]:
        column = self._column((gdal.GFU_Name,), _CLASS_NAMES)
        if column is None:
            return {}
        found = {value: self._text(row, column) for value, row in self._rows.items()}
        return {value: name for value, name in found.items() if name}

    def colors(self) -> dict[str, str]:
        uses = (gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)
        columns = [
            column for column in map(self._column, ((use,) for use in uses)) if column is not None
        ]
        if len(columns) < len(uses):
            return {}
        table: Any = self._table
        parts = {
            value: [table.GetValueAsDouble(row, column) for column in columns]
            for value, row in self._rows.items()
        }
        # HFA files hold shares, all others 0 to 255.
        scale = 255.0 if all(part <= 1 for channels in parts.values() for part in channels) else 1.0
        return {value: _hex(scale * part for part in channels) for value, channels in parts.items()}


def _distinct_values(band: gdal.Band, source: str, progress: Progress) -> set[str]:
    found: set[str] = set()
    for top in range(0, band.YSize, _SCAN_ROWS):
        progress.report(top / band.YSize)
        for left in range(0, band.XSize, _SCAN_COLS):
            progress.check()
            cols, rows = min(_SCAN_COLS, band.XSize - left), min(_SCAN_ROWS, band.YSize - top)
            values, valid = read_values(band, (left, top, cols, rows))
            chosen = values.ravel() if valid is None else values[valid]
            if chosen.dtype.kind == "f":
                chosen = chosen[np.isfinite(chosen)]
            # As the file's type writes it: 0.1 of a 32-bit raster is not 0.100000001490116.
            found |= {value_text(str(value)) for value in np.unique(chosen)}
            if len(found) > MAX_CLASSES + 1:  # one may be nodata, or be said to be no class
                raise too_many_classes(source)
    return found
