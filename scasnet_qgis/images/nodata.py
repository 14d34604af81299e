"""Valid pixels of a raster: by its mask band, alpha band or nodata values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.bands import is_alpha
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.tiling.valid_pixels import MaskReader
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCAN = 1024  # rows and columns looked at in one go


@dataclass(frozen=True)
class MaskRule:
    """How a pixel is found to hold no data.

    ``kind``: "mask" (the file's mask band), "alpha" (band ``alpha`` is 0), "values" (every band the
    model reads holds its nodata value) or "none". Under each of them, a pixel that is NaN or
    infinite in every band holds none either.
    """

    kind: str
    alpha: int = 0
    nodata: tuple[float, ...] = ()

    @property
    def sentence(self) -> Message:
        """The rule in words."""
        if self.kind == "alpha":
            text = translate("ScasNet", "Nodata: where band {band} (alpha) is 0.")
            return message(text, band=self.alpha)
        texts = {
            "mask": translate("ScasNet", "Nodata: by the mask band of the raster."),
            "values": translate("ScasNet", "Nodata: where every used band has its nodata value."),
            "none": translate("ScasNet", "Nodata: no nodata value is set."),
        }
        return message(texts[self.kind])


def mask_rule(dataset: gdal.Dataset, bands: Sequence[int], progress: Progress) -> MaskRule:
    """Decide from the file how pixels without data are marked.

    A band flagged as alpha is believed only if it holds nothing but 0 and full; files with near
    infrared in that place exist. Finding out reads the band, up to the first other value.
    """
    first = dataset.GetRasterBand(bands[0])
    flags = first.GetMaskFlags()
    if flags & gdal.GMF_PER_DATASET and not flags & gdal.GMF_ALPHA:
        return MaskRule("mask")
    for number in range(1, dataset.RasterCount + 1):
        if is_alpha(dataset, number) and number not in bands:
            if _is_binary(dataset.GetRasterBand(number), progress):
                return MaskRule("alpha", alpha=number)
            text = translate(
                "ScasNet",
                "Band {number} is flagged as alpha but holds other values than 0 and 255: it is "
                "taken as data, not as a mask.",
            )
            progress.warn(message(text, number=number))
    values = [dataset.GetRasterBand(number).GetNoDataValue() for number in bands]
    if all(value is not None for value in values):
        return MaskRule("values", nodata=tuple(float(value) for value in values))
    if any(value is not None for value in values):
        text = translate(
            "ScasNet", "Only some of the used bands have a nodata value: it is ignored."
        )
        progress.warn(message(text))
    return MaskRule("none")


def refuse_masks(
    dataset: gdal.Dataset, bands: Sequence[int], wanted: Sequence[str], progress: Progress
) -> None:
    """Raise InputError where one of ``bands``, which feed ``wanted``, is a mask and no image."""
    for number, name in zip(bands, wanted):
        if is_alpha(dataset, number) and _is_binary(dataset.GetRasterBand(number), progress):
            raise InputError(
                translate(
                    "ScasNet",
                    "The raster has too few bands: only band {number}, a transparency mask, is "
                    "left for the model's band '{name}'; choose a raster with the bands {names}.",
                ),
                number=number,
                name=name,
                names=", ".join(wanted),
            )


def _is_binary(band: gdal.Band, progress: Progress) -> bool:
    whole = Window(0, 0, band.YSize, band.XSize)
    opaque = 65535 if band.DataType == gdal.GDT_UInt16 else 255
    for top in range(0, band.YSize, _SCAN):
        progress.check()
        for left in range(0, band.XSize, _SCAN):
            part = Window(top, left, _SCAN, _SCAN).intersect(whole)
            if is_missing(band, part):  # which reads as 0
                continue
            with raise_on_decode_warnings():
                values = band.ReadAsArray(part.col, part.row, part.cols, part.rows)
            if not np.isin(values, (0, 255, opaque)).all():
                return False
    return True


def is_missing(band: gdal.Band, window: Window) -> bool:
    """Whether the file stores nothing for a window: sparse blocks, holes of a mosaic.

    False where the format does not know.
    """
    area = (window.col, window.row, window.cols, window.rows)
    flags, _percent = band.GetDataCoverageStatus(*area)
    return bool(flags & gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY) and not (
        flags & gdal.GDAL_DATA_COVERAGE_STATUS_DATA
    )


def read_mask(
    dataset: gdal.Dataset,
    rule: MaskRule,
    bands: Sequence[int],
    window: Window,
    pixels: NDArray[np.generic],
) -> NDArray[np.bool_] | None:
    """True where a pixel of ``window`` holds data; None where all do.

    ``pixels`` [bands, rows, cols] are the window's raw values, at full or reduced size; the mask
    has theirs.
    """
    valid = np.ones(pixels.shape[1:], dtype=np.bool_)
    if np.issubdtype(pixels.dtype, np.floating):
        valid = np.isfinite(pixels).any(axis=0)
    if rule.kind in ("mask", "alpha"):
        if rule.kind == "alpha":
            band = dataset.GetRasterBand(rule.alpha)
        else:
            band = dataset.GetRasterBand(bands[0]).GetMaskBand()
        rows, cols = valid.shape
        with raise_on_decode_warnings():
            values = band.ReadAsArray(
                window.col, window.row, window.cols, window.rows, buf_xsize=cols, buf_ysize=rows
            )
        valid &= values != 0
    elif rule.kind == "values":
        any_data = np.zeros_like(valid)
        for band_values, nodata in zip(pixels, rule.nodata):
            any_data |= ~_equals(band_values, nodata)
        valid &= any_data
    return None if valid.all() else valid


def _equals(values: NDArray[np.generic], nodata: float) -> NDArray[np.bool_]:
    if np.isnan(nodata):
        return np.asarray(np.isnan(values))
    if np.issubdtype(values.dtype, np.floating):
        return np.asarray(values == values.dtype.type(nodata))  # as the file's type rounds it
    return np.asarray(values == nodata)


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
        "Corners of the raster are black (0 in every used band), but no nodata value is "
        "set: they are mapped. If they are nodata, set the nodata value 0 (Raster > "
        "Conversion > Translate), or warp the image again with an alpha band (-dstalpha).",
    )
    return message(text)


def _corners(grid: Grid) -> Iterator[Window]:
    """Squares in the four corners; none where they would overlap."""
    if min(grid.rows, grid.cols) < 2 * _CORNER_SIZE:
        return
    for row in (0, grid.rows - _CORNER_SIZE):
        for col in (0, grid.cols - _CORNER_SIZE):
            yield Window(row, col, _CORNER_SIZE, _CORNER_SIZE)


def is_without_data(
    dataset: gdal.Dataset, rule: MaskRule, bands: Sequence[int], window: Window
) -> bool:
    """Whether nothing is stored for a window by which a pixel of it could hold data.

    What is not stored reads as the nodata value, or as 0 in masks.
    """
    if rule.kind == "values":
        mask_bands = [dataset.GetRasterBand(number) for number in dict.fromkeys(bands)]
    elif rule.kind == "alpha":
        mask_bands = [dataset.GetRasterBand(rule.alpha)]
    elif rule.kind == "mask":
        mask_bands = [dataset.GetRasterBand(bands[0]).GetMaskBand()]
    else:
        return False
    return all(is_missing(band, window) for band in mask_bands)


def skip_empty_windows(
    may_hold_data: Callable[[Window], bool], inside: MaskReader | None
) -> MaskReader:
    """``inside``, or nothing in windows that hold no data for sure."""

    @lru_cache(maxsize=8)
    def none_inside(rows: int, cols: int) -> NDArray[np.bool_]:
        result = np.zeros((rows, cols), dtype=np.bool_)
        result.flags.writeable = False  # it stands for many windows
        return result

    def wanted(window: Window) -> NDArray[np.bool_] | None:
        if not may_hold_data(window):
            return none_inside(window.rows, window.cols)
        return None if inside is None else inside(window)

    return wanted


# What libjpeg only warns of.
_DECODE_WARNINGS = ("Corrupt JPEG data", "Premature end of JPEG file")


@contextmanager
def raise_on_decode_warnings() -> Iterator[None]:
    """Raise RuntimeError where pixels that are read here are not those of the file.

    GDAL warns once: it keeps the block in its cache, and with it those of the other bands.
    """
    gdal.ErrorReset()
    yield
    warning = gdal.GetLastErrorMsg()
    if any(phrase in warning for phrase in _DECODE_WARNINGS):
        raise RuntimeError(warning)
