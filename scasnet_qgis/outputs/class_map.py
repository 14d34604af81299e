"""The land-cover map and the probabilities as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.file_errors import failed
from scasnet_qgis.common.model_card import ModelClass
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.outputs.atomic_output import AtomicOutput
from scasnet_qgis.outputs.geotiff import BLOCK, GeoTiffWriter
from scasnet_qgis.outputs.overviews import mean_of, most_frequent
from scasnet_qgis.outputs.provenance.stamp import stamp
from scasnet_qgis.tiling.blending import NODATA_LABEL, FinishedBlock
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_PROBABILITY = -1.0
FEW_VALUES = 16


@dataclass(frozen=True)
class ClassArea:
    """Pixels and ground area of one class of a map."""

    value: int
    name: str
    color: str
    pixels: int
    area: float


class WholeColumns:
    """Passes finished blocks on in columns of whole blocks of the file.

    What is left over at the right waits for its neighbour. A row of tiles is never gathered: as
    wide as a panel and with scores for many classes, it would be the largest thing in memory.
    """

    def __init__(self, writer: GeoTiffWriter) -> None:
        self._writer = writer
        self._waiting: NDArray[np.generic] | None = None

    def write(self, block: FinishedBlock, values: NDArray[np.generic]) -> None:
        """``values`` [bands, rows, cols] are what the file gets for the block."""
        window = block.window
        if self._waiting is not None:
            values = np.concatenate((self._waiting, values), axis=2)
            self._waiting = None
        end = window.col_end
        left = end - values.shape[2]
        whole = end if end == block.row.col_end else max(end // BLOCK * BLOCK, left)
        count = whole - left
        if count:
            place = Window(window.row, left, window.rows, count)
            self._writer.write(place, values[:, :, :count])
        if whole < end:
            self._waiting = values[:, :, count:].copy()


class Product(Protocol):
    """A file of a run that is filled block by block."""

    def write(self, block: FinishedBlock) -> None:
        """Add a block; blocks come in the order of the blender."""

    def finish(self, progress: Progress) -> None:
        """Add what comes last, and close; the file stays where it is."""

    def abandon(self) -> None:
        """Let go of the file, so that its folder can be removed."""


class ClassMapWriter:
    """The map: 8-bit, class k as value k + 1, 0 for none; counts areas as it goes."""

    def __init__(
        self,
        output: AtomicOutput,
        grid: Grid,
        classes: Sequence[ModelClass],
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """``origin`` says in the file where the map comes from."""
        self._output, self._classes = output, classes
        self._pixels = np.zeros(len(classes) + 1, dtype=np.int64)
        self._areas = np.zeros(len(classes) + 1, dtype=np.float64)
        self._writer = GeoTiffWriter(
            output.working,
            grid,
            1,
            gdal.GDT_Byte,
            NODATA_LABEL,
            ["PHOTOMETRIC=PALETTE", "ZLEVEL=5"],  # half the work of 6 for a sixth more bytes
            most_frequent,
        )
        stamp(self._writer.dataset, origin or {})
        self._writer.dataset.GetRasterBand(1).SetColorTable(_color_table(classes))
        self._columns = WholeColumns(self._writer)
        # Asking the reference system costs as much as writing; the blocks of a row ask the same.
        self._pixel_area = lru_cache(maxsize=64)(grid.pixel_area)

    def write(self, block: FinishedBlock) -> None:
        labels = block.labels()
        self._count(labels, block.window.row)
        self._columns.write(block, labels[None])

    def write_labels(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Add finished values [rows, cols] of a window that ends as ``GeoTiffWriter`` wants it."""
        self._count(labels, window.row)
        self._writer.write(window, labels[None])

    def _count(self, labels: NDArray[np.uint8], row: int) -> None:
        if not labels.any():
            self._pixels[NODATA_LABEL] += labels.size
            return
        for first in range(0, len(labels), 64):  # the pixel area may change with the latitude
            part = labels[first : first + 64]
            counts = _counts(part, len(self._pixels))
            self._pixels += counts
            self._areas += counts * self._pixel_area(row + first + len(part) / 2)

    @property
    def class_count(self) -> int:
        return len(self._classes)

    @property
    def areas(self) -> list[ClassArea]:
        """What was counted so far, class by class."""
        return [
            ClassArea(
                index + 1,
                model_class.name,
                model_class.color,
                int(self._pixels[index + 1]),
                float(self._areas[index + 1]),
            )
            for index, model_class in enumerate(self._classes)
        ]

    def finish(self, progress: Progress) -> None:
        """Add the rest of the overviews, names and attribute table, and close."""
        self._writer.fill_overviews(progress)
        band = self._writer.dataset.GetRasterBand(1)
        band.SetCategoryNames(["no data", *(model_class.name for model_class in self._classes)])
        band.SetDefaultRAT(_attribute_table(self.areas))
        self._writer.close()
        _check_side_file(self._output.working, len(self._classes))

    def abandon(self) -> None:
        self._writer.abandon()


class ProbabilityWriter:
    """The class probabilities: one 32-bit float band a class, -1 without data."""

    def __init__(
        self,
        output: AtomicOutput,
        grid: Grid,
        classes: Sequence[ModelClass],
        origin: Mapping[str, str] | None = None,
    ) -> None:
        self._writer = GeoTiffWriter(
            output.working,
            grid,
            len(classes),
            gdal.GDT_Float32,
            NO_PROBABILITY,
            ["PREDICTOR=3", "ZLEVEL=1"],  # 6 takes two and a half times as long and saves 2.5 %
            mean_of(NO_PROBABILITY),
        )
        stamp(self._writer.dataset, origin or {})
        for number, model_class in enumerate(classes, start=1):
            self._writer.dataset.GetRasterBand(number).SetDescription(model_class.name)
        self._columns = WholeColumns(self._writer)

    def write(self, block: FinishedBlock) -> None:
        values = block.scores
        if values is None:
            raise ValueError("probabilities need blocks that have scores")
        if not block.valid.all():
            values = np.where(block.valid, values, np.float32(NO_PROBABILITY))
        self._columns.write(block, values)

    def finish(self, progress: Progress) -> None:
        self._writer.fill_overviews(progress)
        self._writer.close()

    def abandon(self) -> None:
        self._writer.abandon()


def finish_all(writers: Sequence[Product], progress: Progress) -> None:
    """Finish several files, sharing the progress between them."""
    for index, writer in enumerate(writers):
        writer.finish(Stage(progress, index / len(writers), (index + 1) / len(writers)))


def _counts(labels: NDArray[np.uint8], values: int) -> NDArray[np.int64]:
    """How often 0 to ``values`` - 1 occur."""
    if values > FEW_VALUES:
        return np.bincount(labels.ravel(), minlength=values)
    # Comparing bytes is several times as fast as bincount, which makes each a 64-bit number.
    return np.array([np.count_nonzero(labels == value) for value in range(values)])


def _check_side_file(path: Path, classes: int) -> None:
    """Raise OutputError where names and table are missing: GDAL only warns on a full disk."""
    dataset = gdal.Open(str(path))
    table = dataset.GetRasterBand(1).GetDefaultRAT()
    if table is None or table.GetRowCount() != classes:
        raise failed(path, "the side file with the attribute table is not whole")


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green, blue of "#rrggbb"."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _color_table(classes: Sequence[ModelClass]) -> gdal.ColorTable:
    table = gdal.ColorTable()
    table.SetColorEntry(NODATA_LABEL, (0, 0, 0, 0))
    for value, model_class in enumerate(classes, start=1):
        table.SetColorEntry(value, (*rgb(model_class.color), 255))
    return table


def _attribute_table(areas: Sequence[ClassArea]) -> gdal.RasterAttributeTable:
    table = gdal.RasterAttributeTable()
    table.CreateColumn("Value", gdal.GFT_Integer, gdal.GFU_MinMax)
    table.CreateColumn("Class", gdal.GFT_String, gdal.GFU_Name)
    for name, use in (("Red", gdal.GFU_Red), ("Green", gdal.GFU_Green), ("Blue", gdal.GFU_Blue)):
        table.CreateColumn(name, gdal.GFT_Integer, use)
    table.CreateColumn("Pixels", gdal.GFT_Real, gdal.GFU_PixelCount)
    table.SetRowCount(len(areas))
    for row, area in enumerate(areas):
        table.SetValueAsInt(row, 0, area.value)
        table.SetValueAsString(row, 1, area.name)
        for column, part in enumerate(rgb(area.color), start=2):
            table.SetValueAsInt(row, column, part)
        table.SetValueAsDouble(row, 5, float(area.pixels))
    return table
