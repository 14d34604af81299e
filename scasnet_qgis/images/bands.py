"""Assigns the bands of a raster to the input bands of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from osgeo import gdal

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import translate

_COLOUR_NAMES = {gdal.GCI_RedBand: "red", gdal.GCI_GreenBand: "green", gdal.GCI_BlueBand: "blue"}
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
