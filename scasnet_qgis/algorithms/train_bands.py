"""Which bands of the images a model is to learn from, and what they are called."""

from __future__ import annotations

import re
from typing import Any

from osgeo import gdal

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.raster.bands import is_alpha
from scasnet_qgis.raster.reader import open_image

_COLORS = {gdal.GCI_RedBand: "red", gdal.GCI_GreenBand: "green", gdal.GCI_BlueBand: "blue"}


def band_numbers(value: Any) -> list[int]:
    """The numbers in "1;2;3", "1,2,3", 4 or [1, 2, 3]; raises SettingError."""
    if value is None:
        return []
    parts = value if isinstance(value, (list, tuple)) else re.split(r"[;,\s]+", str(value).strip())
    texts = [str(each).strip() for each in parts if str(each).strip()]
    if not all(each.isdecimal() and int(each) > 0 for each in texts):
        raise SettingError(
            translate(
                "ScasNet", "The bands '{value}' are no list of numbers: write them as in 1;2;3."
            ),
            value=value,
        )
    numbers = [int(each) for each in texts]
    if len(set(numbers)) < len(numbers):
        raise SettingError(
            translate("ScasNet", "The bands '{value}' name a band twice: name each of them once."),
            value=value,
        )
    return numbers


def model_bands(image: str, chosen: list[int]) -> tuple[list[str], list[int]]:
    """Names of the model's bands, and their numbers where they are not found by name.

    Without a choice these are red, green and blue, or all bands of an image that has no colours
    to offer. To be used within a gdal_session. Raises InputError and SettingError.
    """
    dataset = open_image(image, chosen)
    count = dataset.RasterCount
    for number in chosen:
        if number > count:
            raise SettingError(
                translate(
                    "ScasNet", "Band {number} does not exist: {image} has the bands 1 to {count}."
                ),
                number=number,
                image=image,
                count=count,
            )
    plain = [number for number in range(1, count + 1) if not is_alpha(dataset, number)]
    if not chosen and count >= 3:
        return ["red", "green", "blue"], []
    numbers = chosen or plain or list(range(1, count + 1))
    if count == 1:
        return ["grey"], numbers
    return _names(dataset, numbers), numbers


def _names(dataset: gdal.Dataset, numbers: list[int]) -> list[str]:
    """By colour or description; "band 4" where the file says nothing, or the same twice."""
    found = []
    for number in numbers:
        band = dataset.GetRasterBand(number)
        color = _COLORS.get(band.GetColorInterpretation())
        found.append(color or band.GetDescription().strip().lower())
    return [
        name if name and found.count(name) == 1 else f"band {number}"
        for name, number in zip(found, numbers)
    ]
