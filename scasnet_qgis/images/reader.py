"""Opens raster files and mosaics, and reads windows of them with GDAL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from osgeo import gdal, gdal_array

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import (
    advised_bands,
    assign_bands,
    expand_palette,
    is_expanded,
    is_paletted,
)
from scasnet_qgis.images.grid import Grid, is_regular
from scasnet_qgis.images.nodata import (
    MaskRule,
    black_corners_warning,
    is_without_data,
    mask_rule,
    raise_on_decode_warnings,
    read_mask,
    refuse_masks,
)
from scasnet_qgis.images.value_scaling import ValueRange, bits_of, is_rescaled, scaling_of
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPTION_PREFIX = "|option:"  # what QGIS puts before each option of a layer
_OPTIONAL_DRIVERS = {".ecw": "ECW", ".sid": "MrSID", ".jp2": "JP2OpenJPEG", ".nc": "netCDF"}
_SOURCE = re.compile(r"<(?:SourceFilename|SourceDataset)([^>]*)>([^<]*)</")
_NOT_A_PATH = re.compile(r"/vsi|[A-Za-z0-9_]{2,}:|\s*$")  # of another kind, or of a driver
_MAX_BLOCK_ROWS = 512  # rows; of larger ones, a file in one piece say, no whole ones are read


def open_raster(source: str) -> gdal.Dataset:
    """Open a raster for reading; raises InputError with a sentence where that fails.

    ``source`` may end in options for GDAL's driver, as in "scan.pdf|option:DPI=300" of QGIS.
    """
    name, *options = source.split(_OPTION_PREFIX)
    try:
        dataset = gdal.OpenEx(name, gdal.OF_RASTER, open_options=options)
    except RuntimeError as error:
        raise _not_opened(source, str(error)) from error
    if dataset is None:
        raise _not_opened(source, gdal.GetLastErrorMsg())
    if dataset.RasterCount == 0:
        raise InputError(
            translate("ScasNet", "{source} has no raster bands: choose one of its sublayers."),
            source=source,
        )
    return dataset


def file_of(source: str) -> str:
    """``source`` without QGIS's options for GDAL's driver."""
    return source.split(_OPTION_PREFIX)[0]


def open_image(source: str, chosen: Sequence[int]) -> gdal.Dataset:
    """As ``open_raster``, for an image: whole, and with the colours of a palette as its bands.

    ``chosen`` are the user's band numbers. Raises InputError and SettingError.
    """
    dataset = open_raster(source)
    _check_sources(dataset, source)
    if not is_paletted(dataset):
        return dataset
    with _reading():
        return expand_palette(dataset, chosen)


def files_of(source: str) -> list[str]:
    """The files that a raster is made of, also those behind virtual rasters in virtual rasters."""
    found: dict[str, None] = {}  # in order; a mosaic may have tens of thousands
    pending = [source]
    while pending:
        source_file = pending.pop()
        try:
            dataset = open_raster(source_file)
        except InputError:  # a side file, or a source that is missing
            continue
        new_files = [path for path in dataset.GetFileList() or [] if path not in found]
        found.update(dict.fromkeys(new_files))
        if dataset.GetDriver().ShortName == "VRT":
            pending += [path for path in new_files if path != source_file]
    return list(found)


def _check_sources(dataset: gdal.Dataset, source: str) -> None:
    """Raise InputError where a file of the mosaic is gone.

    Reading would say so too, but perhaps after hours. Files of mosaics in mosaics are left to that.
    """
    for path in _source_files(dataset):
        if not path.exists():
            raise InputError(
                translate(
                    "ScasNet",
                    "Mosaic {source} refers to a missing file, {missing}: restore it, or "
                    "rebuild the mosaic without it.",
                ),
                source=source,
                missing=str(path),
            )


def _source_files(dataset: gdal.Dataset) -> Iterator[Path]:
    if dataset.GetDriver().ShortName != "VRT":
        return
    folder = Path(dataset.GetDescription()).parent
    seen = set()
    for text in dataset.GetMetadata_List("xml:VRT") or []:
        for attributes, escaped in _SOURCE.findall(text):
            name = unescape(escaped)
            if name in seen or _NOT_A_PATH.match(name):
                continue
            seen.add(name)
            yield folder / name if 'relativeToVRT="1"' in attributes else Path(name)


def _not_opened(source: str, detail: str) -> InputError:
    text = translate(
        "ScasNet",
        "Raster {source} cannot be read: it is damaged, or its format is not supported by GDAL.",
    )
    source = file_of(source)
    driver = _OPTIONAL_DRIVERS.get(Path(source).suffix.lower())
    if driver is not None and gdal.GetDriverByName(driver) is None:
        text = translate(
            "ScasNet",
            "Raster {source} cannot be read because this QGIS has no GDAL driver {driver}: "
            "convert the raster to GeoTIFF first.",
        )
    if os.path.sep in source and not source.startswith("/vsi") and not Path(source).exists():
        text = translate("ScasNet", "Raster {source} does not exist.")
    return InputError(text, detail, source=source, driver=driver or "")


@contextmanager
def _reading(window: Window | None = None) -> Iterator[None]:
    """Turn what GDAL raises, or what follows from its None, into an InputError."""
    try:
        yield
    except (RuntimeError, AttributeError, TypeError) as error:
        if window is None:
            text = translate(
                "ScasNet", "The raster cannot be read: the file is damaged or no longer reachable."
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

    is_local = True

    def __init__(
        self, source: str, wanted: Sequence[str], chosen: Sequence[int], progress: Progress
    ) -> None:
        """``wanted``: names of the model's bands; ``chosen``: the user's band numbers, or none."""
        self._dataset, self._progress = open_image(source, chosen), progress
        self.has_palette = is_expanded(self._dataset)
        self.grid = Grid.of(self._dataset)
        self.bands = assign_bands(self._dataset, wanted, chosen)
        self.advised_bands = advised_bands(self._dataset, wanted) if chosen else self.bands
        self._gdal_type = _common_type(self._dataset, self.bands)
        self.bits = bits_of(self._dataset, self.bands)
        self.is_byte = self._gdal_type == gdal.GDT_Byte and self.bits is None
        block_rows = int(self._dataset.GetRasterBand(self.bands[0]).GetBlockSize()[1])
        self.block_rows = block_rows if block_rows <= _MAX_BLOCK_ROWS else 1
        with _reading():
            if not chosen:
                refuse_masks(self._dataset, self.bands, wanted, progress)
            self.rule: MaskRule = mask_rule(self._dataset, self.bands, progress)
        self._missing_is_nodata: bool | None = None  # not known yet

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy's type of the values."""
        return np.dtype(gdal_array.GDALTypeCodeToNumericTypeCode(self._gdal_type))

    @property
    def marks_gaps(self) -> bool:
        """Whether a pixel of the raster can be without data; NaN says so, too."""
        return self.rule.kind != "none" or np.issubdtype(self.dtype, np.floating)

    def carried(self, overlap: int) -> int:
        """Bytes that a column of rows read ahead takes, see tiling/overlap_cache.py."""
        return len(self.bands) * self.dtype.itemsize * (overlap + self.block_rows)

    @property
    def warnings(self) -> Iterator[Message]:
        """What is odd about the raster, for the log."""
        placed = self._dataset.GetGeoTransform(can_return_null=True)
        if placed is not None and not is_regular(placed):
            text = translate(
                "ScasNet",
                "The raster has an invalid geotransform: the map is not georeferenced. "
                "Georeference the raster first if you need it.",
            )
            yield message(text)
        if self.rule.kind == "none":
            gaps = _holes_warning(self._dataset) or black_corners_warning(self.grid, self.read)
            if gaps is not None:
                yield gaps
        if is_rescaled(self._dataset, self.bands):
            text = translate(
                "ScasNet", "Scale and offset of the file are not applied: stored values are used."
            )
            yield message(text)

    def cache_bytes_for(self, tile: tuple[int, int]) -> int:
        """Bytes of GDAL's cache with which tiles (rows, cols) need no block twice.

        Where a block is as wide as the raster, all tiles of a row need it: so many bytes are more
        than GDAL should be given for a very wide one (see images/gdal_session.py).
        """
        band = self._dataset.GetRasterBand(self.bands[0])
        block_cols, block_rows = band.GetBlockSize()
        cols = min(tile[1] + 2 * block_cols, self.grid.cols + block_cols)
        if 2 * block_cols > self.grid.cols:
            cols = self.grid.cols
        pixel_bytes = self._dataset.RasterCount * gdal.GetDataTypeSize(band.DataType) // 8
        return int((tile[0] + 2 * min(block_rows, self.grid.rows)) * cols * max(pixel_bytes, 1))

    def may_hold_data(self, window: Window) -> bool:
        """False for windows of which is known without reading that they hold no data."""
        inside = window.intersect(self.grid.whole)
        with _reading(window):
            if not is_without_data(self._dataset, self.rule, self.bands, inside):
                return True
            if self._missing_is_nodata is None:  # the nodata value may not fit into the type
                _, valid = self._read(Window(inside.row, inside.col, 1, 1))
                self._missing_is_nodata = valid is not None
            return not self._missing_is_nodata

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all)."""
        with _reading(window):
            return self._read(window)

    def _read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        with raise_on_decode_warnings():
            data = self._dataset.ReadRaster(  # ReadAsArray takes no list of bands in GDAL 3.2
                window.col,
                window.row,
                window.cols,
                window.rows,
                buf_type=self._gdal_type,
                band_list=self.bands,
            )
        pixels = np.frombuffer(data, dtype=self.dtype).reshape(
            len(self.bands), window.rows, window.cols
        )
        return pixels, read_mask(self._dataset, self.rule, self.bands, window, pixels)

    def scaling(self, card: ModelCard, given: ValueRange | None = None) -> Scaling:
        """How this raster's values become the model's input, see images/value_scaling.py."""
        return scaling_of(self, card, given, self._progress)


def _common_type(dataset: gdal.Dataset, bands: Sequence[int]) -> int:
    """GDAL's data type that holds the values of all ``bands``; InputError for complex ones."""
    gdal_types = {dataset.GetRasterBand(number).DataType for number in bands}
    if any(gdal.DataTypeIsComplex(gdal_type) for gdal_type in gdal_types):
        raise InputError(
            translate(
                "ScasNet",
                "The raster has complex values (radar?): convert it to real values first.",
            )
        )
    if any(_is_signed_byte(dataset.GetRasterBand(number)) for number in bands):
        raise InputError(
            translate(
                "ScasNet",
                "The raster has signed bytes, which this GDAL version misreads: "
                "convert it to Int16 first (Raster > Conversion > Translate).",
            )
        )
    return int(gdal_types.pop()) if len(gdal_types) == 1 else int(gdal.GDT_Float64)


def _is_signed_byte(band: gdal.Band) -> bool:
    """Before GDAL 3.7 had a type for them."""
    return band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE") == "SIGNEDBYTE"


def _holes_warning(dataset: gdal.Dataset) -> Message | None:
    """A sentence where parts of a mosaic that lie in none of its files would be mapped."""
    if dataset.GetDriver().ShortName != "VRT" or not dataset.GetDescription():
        return None
    flags, _ = dataset.GetRasterBand(1).GetDataCoverageStatus(
        0, 0, dataset.RasterXSize, dataset.RasterYSize
    )
    if not flags & gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY:
        return None
    text = translate(
        "ScasNet",
        "The mosaic has gaps and no nodata value: they are mapped as black. Rebuild it with"
        " a nodata value or an alpha band to exclude them.",
    )
    return message(text)
