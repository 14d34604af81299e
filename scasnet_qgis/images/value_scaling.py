"""The value range by which a raster is scaled to 0 to 1, one for the whole raster.

The rules, the first that fits: what the user gives; the range on the model's card; for a model
that knows 8-bit images (0 to 255 on the card) what the raster's type and its values say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTE_RANGE = (0.0, 255.0)
# Percentiles are taken from windows of this many pixels each way, spread evenly over the raster in
# a grid of so many at most each way; the finer grid is for rasters that are nearly all nodata.
_SAMPLE = 64
_SAMPLE_GRIDS = (16, 64)
_ENOUGH = 100_000  # pixels with data that percentiles can be taken from
_DEFAULT_PERCENTILES = (2.0, 98.0)
_MIN_SHARE = 0.05  # of the card's range, which a raster's values fill, before a run warns
_MAX_BYTE_VALUE = 256.0  # the highest value on a card that bytes can nearly reach

Limits = Sequence[tuple[float, float]]  # band by band


class Readable(Protocol):
    """The raster whose values are scaled."""

    bands: list[int]
    grid: Grid
    is_byte: bool
    is_local: bool  # pixels from all over can be looked at: no service has to draw them first
    bits: int | None  # stored for a value, where the file states fewer than 8

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Raw values [bands, rows, cols] of a window and where they hold data (None: all)."""


def scaling_of(
    raster: Readable, card: ModelCard, given: ValueRange | None, progress: Progress
) -> Scaling:
    """The scaling of a raster for a model; the same for all of the raster.

    Raises SettingError where ``given`` does not fit the bands, InputError where the raster cannot
    be read, Cancelled.
    """
    count = len(raster.bands)
    if given is not None:
        limits, rule = _given_limits(raster, given, progress)
    elif card.value_range != BYTE_RANGE:
        limits, rule = _card_limits(raster, card, progress)
    elif raster.is_byte:
        limits, rule = [card.value_range] * count, _card_rule(card)
    elif raster.bits is not None:
        high = 2.0**raster.bits - 1
        text = translate(
            "ScasNet", "The raster stores {bits} bit(s) a value: it is scaled by 0 to {high:g}."
        )
        limits, rule = [(0.0, high)] * count, message(text, bits=raster.bits, high=high)
    else:
        limits, rule = _limits_by_values(_sample(raster, progress))
    fill = card.mean if card.mean and len(card.mean) == count else (0.5,) * count
    lows, highs = zip(*limits)
    return Scaling(lows, highs, tuple(fill), rule)


def _given_limits(
    raster: Readable, given: ValueRange, progress: Progress
) -> tuple[Limits, Message]:
    pairs = given.of_bands(len(raster.bands))
    if not given.percentiles:
        if raster.is_local:
            _warn_outside_given(_sample(raster, progress), pairs, progress)
        text = translate("ScasNet", "Values are scaled by the given range: {limits}.")
        return pairs, message(text, limits=_limits_text(pairs))
    first, last = given.pairs[0]
    limits = _percentiles(_sample(raster, progress), first, last)
    text = translate(
        "ScasNet",
        "Values are scaled by the given percentiles, {first:g} and {last:g}, of each band "
        "over the whole raster ({limits}).",
    )
    return limits, message(text, first=first, last=last, limits=_limits_text(limits))


def _card_limits(raster: Readable, card: ModelCard, progress: Progress) -> tuple[Limits, Message]:
    """The card's range, unless an 8-bit raster cannot hold such values."""
    count, (low, high) = len(raster.bands), card.value_range
    if raster.is_byte and not 1 < high <= _MAX_BYTE_VALUE:
        text = translate(
            "ScasNet",
            "The raster is 8-bit, but the model was trained on values from {low:g} to {high:g}: it "
            "is scaled by 0 to 255, and the map may be worse than on images like the model's.",
        )
        rule = message(text, low=low, high=high)
        progress.warn(rule)
        return [BYTE_RANGE] * count, rule
    if not raster.is_byte:
        _warn_outside_card(_sample(raster, progress), low, high, progress)
    return [card.value_range] * count, _card_rule(card)


def _card_rule(card: ModelCard) -> Message:
    low, high = card.value_range
    text = translate("ScasNet", "Values are scaled by the model's range, {low:g} to {high:g}.")
    return message(text, low=low, high=high)


def _warn_outside_given(sample: list[NDArray[Any]], pairs: Limits, progress: Progress) -> None:
    """As ``_warn_outside_card``, of the range that the user gave, where each band has its own."""
    if not min(values.size for values in sample):
        return
    found = _percentiles(sample, *_DEFAULT_PERCENTILES)
    if not any(map(_barely_overlaps, found, pairs)):
        return
    text = translate(
        "ScasNet",
        "Hardly any values are within the given range ({limits}): the bands have {found}. "
        "Check the input value range.",
    )
    progress.warn(message(text, found=_limits_text(found), limits=_limits_text(pairs)))


def _barely_overlaps(found: tuple[float, float], limits: tuple[float, float]) -> bool:
    """Whether values reach through next to nothing of a range."""
    (first, last), (low, high) = found, limits
    return min(last, high) - max(first, low) < _MIN_SHARE * (high - low)


def _warn_outside_card(
    sample: list[NDArray[Any]], low: float, high: float, progress: Progress
) -> None:
    """Warn where nearly all values would become black, white or one grey."""
    if not min(values.size for values in sample):
        return
    found = _percentiles(sample, *_DEFAULT_PERCENTILES)
    first, last = min(limits[0] for limits in found), max(limits[1] for limits in found)
    if not _barely_overlaps((first, last), (low, high)):
        return
    text = translate(
        "ScasNet",
        "Hardly any values of the raster ({first:g} to {last:g}) are within the range that "
        "the model was trained on ({low:g} to {high:g}): check image and model, or set the "
        "input value range.",
    )
    progress.warn(message(text, first=first, last=last, low=low, high=high))


def _limits_by_values(sample: list[NDArray[Any]]) -> tuple[Limits, Message]:
    """For a model that knows 8-bit images and a raster that is none, by what it holds."""
    limits = _percentiles(sample, *_DEFAULT_PERCENTILES)
    for top in (255.0, 1.0):
        # Values of sensors and reflectances are much darker than images made for the eye.
        if _fills_range(sample, limits, top):
            text = translate(
                "ScasNet",
                "The raster has values from 0 to {top:g} like an 8-bit image: it is "
                "scaled by 0 to {top:g}.",
            )
            return [(0.0, top)] * len(sample), message(text, top=top)
    text = translate(
        "ScasNet",
        "The raster is not 8-bit, but the model was trained on 8-bit images: each band is "
        "scaled by its {first:g} and {last:g} percentiles over the whole raster ({limits}).",
    )
    first, last = _DEFAULT_PERCENTILES
    return limits, message(text, first=first, last=last, limits=_limits_text(limits))


def _fills_range(sample: list[NDArray[Any]], limits: Limits, top: float) -> bool:
    """Whether all values lie in 0 to ``top``, and some band reaches into the upper half of it."""
    if not min(values.size for values in sample):
        return False
    if top == 1.0 and not np.issubdtype(sample[0].dtype, np.floating):
        return False  # 0 and 1 are numbers of a mask or of classes
    inside = all(values.min() >= 0 and values.max() <= top for values in sample)
    return inside and max(high for _, high in limits) > top / 2


def _limits_text(limits: Limits) -> str:
    return ", ".join(f"{low:g} to {high:g}" for low, high in limits)


def _percentiles(sample: list[NDArray[Any]], first: float, last: float) -> Limits:
    limits = []
    for values in sample:
        low, high = np.percentile(values, (first, last)) if values.size else (0.0, 1.0)
        limits.append((float(low), float(high) if high > low else float(low) + 1.0))
    return limits


def _sample(raster: Readable, progress: Progress) -> list[NDArray[Any]]:
    """Finite values of pixels with data, band by band, from all over the raster.

    Reading all of a large raster would take minutes, in one call that cannot be stopped.
    """
    found: list[NDArray[Any]] = []
    for grid in _SAMPLE_GRIDS:
        parts: list[list[NDArray[Any]]] = [[] for _ in raster.bands]
        for window in _sample_windows(raster.grid, grid):
            progress.check()
            pixels, valid = raster.read(window)
            for part, band in zip(parts, pixels):
                part.append(band[np.isfinite(band) & (True if valid is None else valid)])
        found = [np.concatenate(part) for part in parts]
        if min(values.size for values in found) >= _ENOUGH:
            break
    return found


def _sample_windows(grid: Grid, count: int) -> Iterator[Window]:
    """Windows over all of a raster, or in the middle of ``count`` parts where it is longer."""
    for row in _starts(grid.rows, count):
        for col in _starts(grid.cols, count):
            yield Window(row, col, _SAMPLE, _SAMPLE).intersect(grid.whole)


def _starts(length: int, count: int) -> list[int]:
    if length <= count * _SAMPLE:
        return list(range(0, length, _SAMPLE))
    return [(2 * index + 1) * length // (2 * count) - _SAMPLE // 2 for index in range(count)]


def bits_of(dataset: gdal.Dataset, bands: Sequence[int]) -> int | None:
    """How many bits are stored for a value where that is less than 8, so that 255 is not white."""
    bit_depths = (
        dataset.GetRasterBand(number).GetMetadataItem("NBITS", "IMAGE_STRUCTURE")
        for number in bands
    )
    few = [int(depth) for depth in bit_depths if depth is not None and int(depth) < 8]
    return max(few, default=None)


def is_rescaled(dataset: gdal.Dataset, bands: Sequence[int]) -> bool:
    """Whether the file states a scale or an offset, which physical values would follow from."""
    raster_bands = (dataset.GetRasterBand(number) for number in bands)
    return any(
        (band.GetScale() or 1.0) != 1.0 or (band.GetOffset() or 0.0) != 0.0 for band in raster_bands
    )


_SYNTAX = translate(
    "ScasNet",
    "Invalid input value range '{text}': enter minimum and maximum, such as \"0;2047\", one "
    'pair per band, or percentiles, such as "2%;98%".',
)


@dataclass(frozen=True)
class ValueRange:
    """Minimum and maximum, scaled to 0 and 1: a pair for all bands, or one for each model band.

    With ``percentiles`` the only pair is in percentiles (0 to 100) of each band over the whole
    raster.
    """

    pairs: tuple[tuple[float, float], ...]
    percentiles: bool = False

    def of_bands(self, count: int) -> tuple[tuple[float, float], ...]:
        """A pair for each of ``count`` bands; raises SettingError where the numbers differ."""
        if len(self.pairs) not in (1, count):
            raise SettingError(
                translate(
                    "ScasNet",
                    "The input value range has {pairs} pairs, but the model has {count} "
                    "band(s): enter one pair for all bands, or one per band.",
                ),
                pairs=len(self.pairs),
                count=count,
            )
        return self.pairs * count if len(self.pairs) == 1 else self.pairs

    def __str__(self) -> str:
        """The text of the parameter."""
        sign = "%" if self.percentiles else ""
        return ";".join(f"{value!r}{sign}" for pair in self.pairs for value in pair)


def parse_value_range(text: str) -> ValueRange | None:
    """Parse "0;2047", "0;1;10;500;3;4" (band by band) or "2%;98%"; None where ``text`` is empty.

    Raises SettingError.
    """
    if not text.strip():
        return None
    words = [word.strip() for word in text.split(";")]
    percentiles = all(word.endswith("%") for word in words)
    try:
        numbers = [float(word[:-1] if percentiles else word) for word in words]
    except ValueError as error:
        raise SettingError(_SYNTAX, str(error), text=text) from error
    pairs = tuple(zip(numbers[::2], numbers[1::2]))
    well_formed = len(numbers) % 2 == 0 and all(map(isfinite, numbers))
    if percentiles:
        well_formed &= len(pairs) == 1 and min(numbers) >= 0 and max(numbers) <= 100
    if not well_formed:
        raise SettingError(_SYNTAX, text=text)
    for low, high in pairs:
        if not low < high:
            raise SettingError(
                translate(
                    "ScasNet",
                    "Invalid input value range {low:g} to {high:g}: the maximum must be "
                    "greater than the minimum.",
                ),
                low=low,
                high=high,
            )
    return ValueRange(pairs, percentiles)
