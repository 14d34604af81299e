"""Expands paletted rasters to red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence

from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.bands import is_alpha

_METADATA_DOMAIN, _METADATA_KEY = "SCASNET", "PALETTE"


def is_paletted(dataset: gdal.Dataset) -> bool:
    """Whether the pixels of the first band are numbers of a colour table."""
    band = dataset.GetRasterBand(1)
    numbers = band.GetColorInterpretation() == gdal.GCI_PaletteIndex
    return bool(numbers and band.GetColorTable() is not None)


def expand_palette(dataset: gdal.Dataset, chosen: Sequence[int]) -> gdal.Dataset:
    """A virtual raster with the bands red, green and blue, of one with a colour table.

    The nodata value, entries that are fully transparent, an alpha band and a mask band become its
    mask. ``chosen`` are the user's band numbers, which count these three bands.
    Raises InputError for several bands, SettingError where ``chosen`` means the numbers.
    """
    if dataset.RasterCount > 2 or (dataset.RasterCount == 2 and not is_alpha(dataset, 2)):
        raise InputError(
            translate(
                "ScasNet",
                "The raster has several bands and a colour palette, so that it cannot be told what "
                "its colours are: convert it first with Raster > Conversion > PCT to RGB.",
            )
        )
    if len(chosen) > 1 and set(chosen) == {1}:
        raise SettingError(
            translate(
                "ScasNet",
                "The raster's only band holds numbers of a colour palette, which become red, green "
                "and blue by themselves: leave the bands empty.",
            )
        )
    rgb = _to_rgb(dataset)
    rgb.SetMetadataItem(_METADATA_KEY, "expanded", _METADATA_DOMAIN)
    return rgb


def _to_rgb(dataset: gdal.Dataset) -> gdal.Dataset:
    indexed = gdal.Translate("", dataset, format="VRT", noData="none", maskBand="auto")
    first = dataset.GetRasterBand(1)
    if first.GetMaskFlags() & gdal.GMF_PER_DATASET:
        return gdal.Translate(
            "", indexed, format="VRT", bandList=[1], rgbExpand="rgb", maskBand="mask,1"
        )
    if not _mark_transparent(indexed.GetRasterBand(1), first.GetNoDataValue()):
        return gdal.Translate("", indexed, format="VRT", rgbExpand="rgb")
    rgba = gdal.Translate("", indexed, format="VRT", rgbExpand="rgba")
    return gdal.Translate("", rgba, format="VRT", bandList=[1, 2, 3], maskBand=4)


def is_expanded(dataset: gdal.Dataset) -> bool:
    """Whether a dataset comes from ``expand_palette``."""
    return dataset.GetMetadataItem(_METADATA_KEY, _METADATA_DOMAIN) is not None


def _mark_transparent(band: gdal.Band, nodata: float | None) -> bool:
    """Make each colour either opaque or transparent; whether any of them is transparent."""
    table = band.GetColorTable().Clone()
    found = False
    for number in range(table.GetCount()):
        entry = table.GetColorEntry(number)
        transparent = number == nodata or entry[3] == 0
        table.SetColorEntry(number, (*entry[:3], 0 if transparent else 255))
        found |= transparent
    band.SetColorTable(table)
    return found
