"""The value range of an image that a user gives, as text and as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.core.messages import translate

_SYNTAX = translate(
    "ScasNet",
    "'{text}' is no range of values: write the lowest and the highest value with a semicolon "
    'between them, as in "0;2047", such a pair for each band, or percentiles, as in "2%;98%".',
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
                    "The range of values has {pairs} pairs, but the model has {count} band(s): "
                    "give one pair for all bands, or one for each.",
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
                    "The range of values goes from {low:g} to {high:g}: the second value must be "
                    "higher than the first.",
                ),
                low=low,
                high=high,
            )
    return ValueRange(pairs, percentiles)
