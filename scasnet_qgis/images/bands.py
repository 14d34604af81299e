"""Which bands of a raster are the input bands of a model; a colour palette becomes three."""

from __future__ import annotations

import re
from collections.abc import Sequence

from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import translate

_COLOUR_NAMES = {gdal.GCI_RedBand: "red", gdal.GCI_GreenBand: "green", gdal.GCI_BlueBand: "blue"}
_METADATA_DOMAIN, _METADATA_KEY = "SCASNET", "PALETTE"
_NEAR_INFRARED = ("nir", "near infrared", "near-infrared", "infrared")


def assign_bands(
    dataset: gdal.Dataset, wanted: Sequence[str], chosen: Sequence[int] = ()
) -> list[int]:
    """Band numbers (from 1) of ``dataset`` for the model's bands ``wanted``.

    ``chosen`` are the user's band numbers and win; otherwise bands are found by their colour
    interpretation or by a number in their name, and the rest in the order they lie in the file.
    Raises InputError where the
    raster has too few bands, SettingError where a chosen number does not exist.
    """
    count = dataset.RasterCount
    if chosen:
        return _check_chosen(list(chosen), count, len(wanted))
    if count < len(wanted):
        raise InputError(
            translate(
                "ScasNet",
                "The image has {count} band(s), but the model needs {needed} ({names}): "
                "choose an image with these bands, or another model.",
            ),
            count=count,
            needed=len(wanted),
            names=", ".join(wanted),
        )
    band_names = [_band_name(dataset, number) for number in range(1, count + 1)]
    taken: dict[int, int] = {}
    for index, name in enumerate(wanted):
        if band_names.count(name.lower()) == 1:
            taken[index] = band_names.index(name.lower()) + 1
    for index, name in enumerate(wanted):
        number = _named_number(name)
        if index not in taken and number in range(1, count + 1) and number not in taken.values():
            taken[index] = number
    for index, name in enumerate(wanted):
        if index not in taken:
            taken[index] = _fallback(dataset, name, set(taken.values()))
    return [taken[index] for index in range(len(wanted))]


def advised_bands(dataset: gdal.Dataset, wanted: Sequence[str]) -> list[int]:
    """As ``assign_bands`` without a choice; none where the raster has too few."""
    try:
        return assign_bands(dataset, wanted)
    except SettingError:
        return []


def _named_number(name: str) -> int:
    """The number in a name such as "band 4", which bands without a known meaning get; else 0."""
    match = re.fullmatch(r"band (\d{1,5})", name.strip().lower())
    return int(match.group(1)) if match else 0


def _fallback(dataset: gdal.Dataset, name: str, used: set[int]) -> int:
    """The first band that is not used yet, one flagged as alpha last.

    Near infrared is the other way round: files flag it as alpha, and it is no visible colour.
    """
    rest = [number for number in range(1, dataset.RasterCount + 1) if number not in used]
    infrared = name.lower() in _NEAR_INFRARED

    def doubtful(number: int) -> bool:
        return _is_visible(dataset, number) if infrared else is_alpha(dataset, number)

    return min(rest, key=lambda number: (doubtful(number), number))


def _check_chosen(chosen: list[int], count: int, needed: int) -> list[int]:
    if len(chosen) != needed:
        raise SettingError(
            translate(
                "ScasNet",
                "{count} band(s) are selected, but the model needs {needed}: select one "
                "band of the image for each band of the model.",
            ),
            count=len(chosen),
            needed=needed,
        )
    for number in chosen:
        if not 1 <= number <= count:
            raise SettingError(
                translate(
                    "ScasNet", "Band {number} does not exist: the image has bands 1 to {count}."
                ),
                number=number,
                count=count,
            )
    return chosen


def _is_visible(dataset: gdal.Dataset, number: int) -> bool:
    return dataset.GetRasterBand(number).GetColorInterpretation() in _COLOUR_NAMES


def _band_name(dataset: gdal.Dataset, number: int) -> str:
    band = dataset.GetRasterBand(number)
    known = _COLOUR_NAMES.get(band.GetColorInterpretation())
    return known or band.GetDescription().strip().lower()


def is_alpha(dataset: gdal.Dataset, number: int) -> bool:
    """Whether the file flags a band as alpha; many files flag near infrared so."""
    return bool(dataset.GetRasterBand(number).GetColorInterpretation() == gdal.GCI_AlphaBand)


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
                "The raster has several bands and a colour palette: convert it with "
                "Raster > Conversion > PCT to RGB first.",
            )
        )
    if len(chosen) > 1 and set(chosen) == {1}:
        raise SettingError(
            translate(
                "ScasNet",
                "The raster's only band has a colour palette, which is read as red, "
                "green and blue: leave the bands empty.",
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
