"""Text, numbers and colours as they may stand in an HTML document, whoever wrote them."""

from __future__ import annotations

import html
import math
import re

from scasnet_qgis.common.redaction import without_secrets

NONE = "–"  # what stands where there is no value
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_NO_COLOR = "#ffffff"
_NO_VALUE = {"", "nan", "inf", "-inf", "None"}


def escaped(text: object) -> str:
    """``text`` for an element or a quoted attribute; what no document may hold is left out.

    That is also passwords and keys in the names of layers.
    """
    # Names of files may hold halves of characters, which cannot be written.
    whole = str(text).encode("utf-8", "replace").decode("utf-8")
    if not whole.isprintable():
        whole = "".join(letter for letter in whole if letter in "\n\t" or letter.isprintable())
    return html.escape(without_secrets(whole))


def value_text(value: object) -> str:
    """A cell of a table, escaped; a dash for None, NaN and what came of writing them."""
    text = str(value).strip()
    return NONE if text in _NO_VALUE else escaped(text)


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return NONE if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one in percent; a dash where there is none."""
    return NONE if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def count(value: float | None) -> str:
    """A count with thousands apart, a fraction with four digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def area_unit(square_metres: float) -> tuple[str, float]:
    """The unit to write an area in by its size (m², ha or km²), and its square metres."""
    if abs(square_metres) < 10_000:
        return "m²", 1.0
    return ("ha", 10_000.0) if abs(square_metres) < 100_000_000 else ("km²", 1_000_000.0)


def safe_color(color: object) -> str:
    """``#rrggbb`` as it is, white for anything else: it goes into a style, where text may act."""
    return str(color) if _COLOR.fullmatch(str(color)) else _NO_COLOR


def swatch(color: object) -> str:
    """A small square of the colour; it only repeats what the text beside it says."""
    return f'<span class="swatch" style="background:{safe_color(color)}"></span>'


def shade(share: float) -> tuple[str, str]:
    """Background and text colour for a share in 0-1: from white over blue to dark blue.

    The text is black or white, whichever has the higher contrast (WCAG 2.1: at least 4.5 : 1).
    """
    stops = ((255, 255, 255), (107, 174, 214), (8, 48, 107))
    place = 2 * min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    first = min(int(place), 1)
    pairs = zip(stops[first], stops[first + 1])
    red, green, blue = (round(low + (high - low) * (place - first)) for low, high in pairs)
    back = f"#{red:02x}{green:02x}{blue:02x}"
    return back, "#000000" if luminance(back) > 0.179 else "#ffffff"


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 for black to 1 for white (WCAG 2.1)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
