"""A class of labels: its value in the file, its name and its colour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import MAX_CLASSES, default_color
from scasnet_qgis.labels.vectors.layer import reading

IGNORE = 255  # where a pixel has no label, or none of a class that is asked for

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")
# Names of what is no class, compared without case, blanks and signs.
_NO_CLASS = re.compile(
    r"(un|not|no)label?led|(no|without)labels?|(no|without|missing)data|nodatavalue"
    r"|unclassified|notclassified|ignored?"
)


@dataclass(frozen=True)
class LabelClass:
    """A class of labels: ``value`` is the text of the raster's or the field's value."""

    value: str
    name: str
    color: str


def value_text(value: Any) -> str:
    """The text of a value: "3" for 3, 3.0, "3" and " 3.0 "."""
    if isinstance(value, float):
        value = f"{value:.15g}"
    text = str(value).strip()
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole.group(1) if whole else text


def says_no_class(name: str) -> bool:
    """Whether a name says that pixels carry no label: "unlabelled", "No data", "no-label" ..."""
    return bool(_NO_CLASS.fullmatch(re.sub(r"[^a-z]", "", name.casefold())))


def make_classes(
    values: Iterable[str], names: Mapping[str, str], colors: Mapping[str, str], source: str
) -> list[LabelClass]:
    """Classes in the order of ``values``; what has no name or colour gets one.

    A value whose name says that it is no class is left out. Raises InputError where there are
    more classes than a map can hold.
    """
    kept = [value for value in values if not says_no_class(names.get(value, "") or value)]
    if len(kept) > MAX_CLASSES:
        raise too_many_classes(source)
    if len(kept) > 1 and len({colors.get(value) for value in kept}) == 1:
        colors = {}  # a table that nobody filled
    found: list[LabelClass] = []
    for index, value in enumerate(kept):
        name = names.get(value) or (f"class {value}" if _is_number(value) else value)
        if any(name == entry.name for entry in found):
            name = f"{name} ({value})"
        found.append(LabelClass(value, name, colors.get(value) or default_color(index)))
    return found


def by_number(values: Iterable[str]) -> list[str]:
    """Numbers in their order, then texts in theirs."""
    return sorted(
        values, key=lambda value: (0, float(value), value) if _is_number(value) else (1, 0.0, value)
    )


def number_of(text: str) -> float | int | None:
    """The number a text stands for; None where it is none."""
    if not _is_number(text):
        return None
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE))


def too_many_classes(source: str) -> InputError:
    return InputError(
        translate(
            "ScasNet",
            "Labels {source} have more than {count} different values: choose a class raster"
            " or a class field.",
        ),
        source=source,
        count=MAX_CLASSES,
    )


def reading_labels(source: str) -> AbstractContextManager[None]:
    """Turn what GDAL raises, or what follows from its None, into an InputError."""
    return reading(
        translate(
            "ScasNet", "Labels {source} cannot be read: the file is damaged or no longer reachable."
        ),
        source,
    )
