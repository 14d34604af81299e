"""A setting, declared once.

A settings class is a frozen dataclass whose fields are made by ``option``. From that one
declaration follow the parameter in QGIS
(qgis_ui/processing/parameters.py), its value for a run, what
a resumed run is compared with (``identity``), the stamp in the file (``stamps``), the command that
repeats the run (``arguments``), and its row in the record and the report (``given``, ``labels``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Union

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

_KEY = "option"


@dataclass(frozen=True)
class Number:
    """A number from ``minimum`` to ``maximum``, both included; None: without that limit.

    An ``optional`` one may be left empty, which gives None.
    """

    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Choice:
    """One of a few words, which are the same in every language."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """Yes or no."""


@dataclass(frozen=True)
class Text:
    """A line of text; "" where it is left empty."""


@dataclass(frozen=True)
class BandNumbers:
    """Bands of the raster of the parameter ``parent``, counted from 1, in the order given."""

    parent: str


@dataclass(frozen=True)
class FilePath:
    """An existing file, or a ``folder``; "" where it is left empty.

    ``extension`` is without a dot; ``file_filter`` is as in a file dialog and wins over it.
    """

    extension: str = ""
    file_filter: str = ""
    folder: bool = False


Kind = Union[Number, Choice, Flag, Text, BandNumbers, FilePath]


@dataclass(frozen=True)
class Option:
    """The declaration of one setting.

    ``parameter`` names it in Processing and in the file's metadata. ``label`` and ``help`` are
    marked for translation and translated where they are shown. ``differs`` is the reason, for the
    log, why a run with another value cannot be resumed; "" for a setting that a run may change on
    the way. A setting with such a reason is stamped into the file where it is not as declared; one
    that is ``stamped`` always. ``stamp`` makes that text of the whole settings; "" for none.
    ``only_with`` names the attribute without which a setting has no effect: as long as that one is
    as declared, this one is. ``parse`` makes the value of what the user gives and raises
    SettingError; ``write`` is its inverse and gives text.
    """

    parameter: str
    label: str
    help: str
    kind: Kind
    advanced: bool = False
    differs: str = ""
    stamped: bool = False
    stamp: Callable[[Any], str] | None = None
    only_with: str = ""
    parse: Callable[[Any], Any] | None = None
    write: Callable[[Any], str] | None = None
    default: Any = None

    @property
    def part_of_identity(self) -> bool:
        """Whether a run with another value is another run."""
        return bool(self.differs)

    def text(self, value: Any) -> str:
        """A value for people and for the command line; "" for one that was left empty."""
        if value is None:
            return ""
        if self.write is not None:
            return self.write(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (tuple, list)):
            return ";".join(str(part) for part in value)
        return repr(value) if isinstance(value, float) else str(value)


def option(
    default: Any, parameter: str, label: str, help_text: str, kind: Kind, **details: Any
) -> Any:
    """A field of a settings class; ``details`` are the other attributes of ``Option``.

    Write label and help as ``translate("ScasNet", "...")`` of common/messages.py.
    """
    declared = Option(parameter, label, help_text, kind, default=default, **details)
    return field(default=default, metadata={_KEY: declared})


def options_of(settings: Any) -> dict[str, Option]:
    """The declared options of a settings class or of one of its values, by attribute, in order."""
    return {
        attribute.name: attribute.metadata[_KEY]
        for attribute in fields(settings)
        if _KEY in attribute.metadata
    }


def _with_values(settings: Any) -> Iterator[tuple[str, Option, Any]]:
    for name, declared in options_of(settings).items():
        yield name, declared, getattr(settings, name)


def _effective(settings: Any) -> Iterator[tuple[str, Option, Any]]:
    """The same with the declared value for settings that have no effect."""
    declared_by = options_of(settings)
    for name, declared, value in _with_values(settings):
        other = declared.only_with
        unused = bool(other) and getattr(settings, other) == declared_by[other].default
        yield name, declared, declared.default if unused else value


def given(settings: Any) -> dict[str, Any]:
    """All settings as they were given, by attribute; text for what JSON does not know."""
    return {
        name: value if _is_plain(value, declared) else declared.text(value)
        for name, declared, value in _with_values(settings)
    }


def _is_plain(value: Any, declared: Option) -> bool:
    if value is None:
        return not isinstance(declared.kind, (Text, FilePath))
    return isinstance(value, (bool, int, float, str, tuple, list))


def identity(settings: Any) -> dict[str, str]:
    """What the result follows from, by attribute, in the order of declaration."""
    return {
        name: declared.text(value)
        for name, declared, value in _effective(settings)
        if declared.part_of_identity
    }


def arguments(settings: Any) -> dict[str, str]:
    """Parameters and texts of all settings that are not as declared, for the command line."""
    return {
        declared.parameter: declared.text(value)
        for _, declared, value in _effective(settings)
        if declared.parameter and value != declared.default
    }


def stamps(settings: Any) -> dict[str, str]:
    """What goes into the file, by parameter: what the result follows from where it is not as
    declared, and what is always stamped."""
    found = {}
    for _, declared, value in _effective(settings):
        if declared.stamped or (declared.part_of_identity and value != declared.default):
            text = declared.text(value) if declared.stamp is None else declared.stamp(settings)
            found[declared.parameter] = text
    return {parameter: text for parameter, text in found.items() if text}


def labels(settings: Any) -> dict[str, str]:
    """The label of each setting, by attribute; not translated."""
    return {name: declared.label for name, declared in options_of(settings).items()}


def reasons(settings: Any) -> dict[str, str]:
    """Why a run with another value cannot be resumed, by attribute; not translated."""
    return {
        name: declared.differs
        for name, declared in options_of(settings).items()
        if declared.part_of_identity
    }


def difference(settings: Any, found: Mapping[str, Any]) -> str | None:
    """Why a run that was begun with the identity ``found`` cannot be resumed; None if it can."""
    for name, value in identity(settings).items():
        if found.get(name) != value:
            return options_of(settings)[name].differs
    return None


def check_limits(settings: Any) -> None:
    """Raise SettingError for a number outside its limits, or a word that is no choice."""
    for name, declared, value in _with_values(settings):
        kind = declared.kind
        if isinstance(kind, Choice) and value not in kind.values:
            raise SettingError(
                translate("ScasNet", "There is no {name} '{value}': choose one of {values}."),
                name=name,
                value=value,
                values=", ".join(kind.values),
            )
        if isinstance(kind, Number) and not (value is None and kind.optional):
            _check_number(name, value, kind)


def _check_number(name: str, value: float, kind: Number) -> None:
    low = -math.inf if kind.minimum is None else kind.minimum
    high = math.inf if kind.maximum is None else kind.maximum
    if not low <= value <= high:
        raise SettingError(
            translate("ScasNet", "{name} must lie between {low:g} and {high:g}, it is {value}."),
            name=name,
            low=low,
            high=high,
            value=value,
        )
