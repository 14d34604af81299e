"""Classes of a label raster: category names, attribute table, or the values that occur."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.card import MAX_CLASSES
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.label_class import (
    LabelClass,
    by_number,
    make_classes,
    reading_labels,
    too_many_classes,
    value_text,
)
from scasnet_qgis.raster.raster_labels import open_labels, read_values

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
