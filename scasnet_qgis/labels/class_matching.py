"""Matches the classes of a reference to those of a map.

The rule, in this order:

1. by name, without regard to case and spaces: the name of every reference class, or else its value,
   is the name of a class of the map;
2. by value, where at least one side has no names of its own: every value of the reference is a
   value of the map;
3. else there is no match. Names that differ are never passed over for the sake of equal values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.labels.label_class import IGNORE, LabelClass, value_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_OUT = 254  # what a reference class becomes that is not to be compared; IGNORE is "no label"
_MAX_LISTED = 40


@dataclass(frozen=True)
class ClassMatch:
    """``indices``: for each reference class that of its class of the map, or LEFT_OUT."""

    indices: tuple[int, ...]
    sentence: Message

    def table(self) -> NDArray[np.uint8]:
        """[256] from the index of a reference class, or IGNORE, to that of its class of the map."""
        result = np.full(256, IGNORE, dtype=np.uint8)
        result[: len(self.indices)] = self.indices
        return result


def name_key(name: str) -> str:
    """A name as it is compared: without case and spaces."""
    return "".join(name.split()).casefold()


def has_names(classes: Sequence[LabelClass]) -> bool:
    """Whether any class has a name that is more than its value."""
    return any(not _is_nameless(label) for label in classes)


def _is_nameless(label: LabelClass) -> bool:
    """Whether the name is the value, or what raster.label_class makes of a number."""
    return name_key(label.name) in (name_key(label.value), name_key(f"class {label.value}"))


def match_classes(
    reference: Sequence[LabelClass], mapped: Sequence[LabelClass], left_out: str = ""
) -> ClassMatch:
    """Find the class of the map for each class of the reference.

    ``left_out`` are names or values of reference classes that are not compared, separated by
    semicolons or commas. Raises InputError, which lists both sides, where there is no match.
    """
    excluded = _excluded_indices(reference, left_out)
    compared = [label for index, label in enumerate(reference) if index not in excluded]
    names = _lookup([name_key(label.name) for label in mapped])
    values = _lookup([value_text(label.value) for label in mapped])
    by_name = translate("ScasNet", "Classes are matched by name: {pairs}.")
    by_value = translate("ScasNet", "Classes are matched by value: {pairs}.")
    rules: list[tuple[str, dict[str, int], Callable[[LabelClass], str]]] = [
        (by_name, names, lambda label: name_key(label.name)),
        (by_name, names, lambda label: name_key(label.value)),
    ]
    if not (has_names(compared) and has_names(mapped)):
        rules.append((by_value, values, lambda label: value_text(label.value)))
    for template, known, key in rules:
        if compared and all(key(label) in known for label in compared):
            found = [known[key(label)] for label in compared]
            _refuse_duplicates([mapped[index] for index in found], mapped, template == by_name)
            pairs = zip(compared, (mapped[index] for index in found))
            text = ", ".join(f"{_class_text(a)} = {_class_text(b)}" for a, b in pairs)
            remaining = iter(found)
            indices = (
                LEFT_OUT if index in excluded else next(remaining)
                for index in range(len(reference))
            )
            return ClassMatch(tuple(indices), Message(template, {"pairs": text}))
    raise _mismatch(compared, mapped)


def _class_text(label: LabelClass) -> str:
    """The name of a class, with its value where that is something else."""
    return label.name if _is_nameless(label) else f"{label.name} ({label.value})"


def _lookup(keys: Sequence[str]) -> dict[str, int]:
    """The first index of each key."""
    return {key: len(keys) - 1 - index for index, key in enumerate(reversed(keys))}


def _excluded_indices(reference: Sequence[LabelClass], left_out: str) -> set[int]:
    """Indices of the classes that are named; SettingError for one that there is not."""
    result: set[int] = set()
    for part in filter(None, (text.strip() for text in re.split("[;,]", left_out))):
        found = {
            index
            for index, label in enumerate(reference)
            if name_key(part) == name_key(label.name) or value_text(part) == value_text(label.value)
        }
        if not found:
            raise SettingError(
                translate(
                    "ScasNet", "The class {name} cannot be ignored: the reference has {classes}."
                ),
                name=part,
                classes=_class_list(reference),
            )
        result |= found
    return result


def _refuse_duplicates(used: list[LabelClass], mapped: Sequence[LabelClass], by_name: bool) -> None:
    """Raise InputError where a name that is asked for belongs to two classes of the map."""
    keys = [name_key(label.name) for label in mapped]
    duplicates = [label.name for label in used if by_name and keys.count(name_key(label.name)) > 1]
    if duplicates:
        raise InputError(
            translate(
                "ScasNet", "Several classes of the map are named {name}: rename all but one."
            ),
            name=duplicates[0],
        )


def _mismatch(reference: Sequence[LabelClass], mapped: Sequence[LabelClass]) -> InputError:
    if not reference:
        return InputError(translate("ScasNet", "The reference has no classes to compare."))
    text = translate(
        "ScasNet",
        "The classes do not match: the reference has {reference}; the map has {mapped}. Give "
        "the same classes the same names, or ignore those that the map does not have.",
    )
    if _counts_from_zero(reference, mapped):
        text = translate(
            "ScasNet",
            "The classes do not match: the reference has {reference}; the map has {mapped}. "
            "The reference seems to count its classes from 0 and the map from 1: add 1 to its "
            "values first (Raster > Raster Calculator).",
        )
    return InputError(text, reference=_class_list(reference), mapped=_class_list(mapped))


def _counts_from_zero(reference: Sequence[LabelClass], mapped: Sequence[LabelClass]) -> bool:
    """Whether values 0, 1, 2 ... stand opposite to 1, 2, 3 ..., but for one that means nothing."""
    values = {label.value for label in reference}
    shifted = {str(int(label.value) - 1) for label in mapped if label.value.isdecimal()}
    return "0" in values and len(mapped) > 1 and shifted <= values and len(values - shifted) <= 1


def _class_list(classes: Sequence[LabelClass]) -> Message | str:
    text = ", ".join(_class_text(label) for label in classes[:_MAX_LISTED])
    more = len(classes) - _MAX_LISTED
    if more <= 0:
        return text
    return message(translate("ScasNet", "{names} and {more} more"), names=text, more=more)
