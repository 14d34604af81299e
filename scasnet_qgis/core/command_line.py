"""The ``qgis_process`` command that runs an algorithm with given parameters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[A-Z][A-Z_]{0,40}")
_PRINTED = 4000  # characters of one value


def command(algorithm: str, parameters: Mapping[str, str], windows: bool) -> str:
    """One line for a shell: POSIX, or with ``windows`` that of the OSGeo4W shell."""
    quote = _quoted_for_windows if windows else _quoted
    words = [quote(f"{name}={value}") for name, value in parameters.items()]
    return " ".join((f"qgis_process run {algorithm} --", *words))


def _quoted(word: str) -> str:
    name, _, value = word.partition("=")
    return f"{name}={shlex.quote(value)}"


def _quoted_for_windows(word: str) -> str:
    """Always in quotes: outside of them &, | and others would begin another command.

    A quote inside is doubled, and so are backslashes before any, as programs take both apart again.
    """
    inner = re.sub(r'(\\*)"', r'\1\1""', word)
    closing = "\\" * (len(inner) - len(inner.rstrip("\\")))
    return f'"{inner}{closing}"'


def safe_parameters(value: Any) -> dict[str, str]:
    """Parameters out of a document that anybody may have written, fit to be shown in a command.

    Names that are none are left out, and values with characters that do not print or, quoted, do
    not stay quoted in every shell: what looks harmless must be so when it is pasted.
    """
    if not isinstance(value, dict):
        return {}
    return {
        name: text
        for name, text in value.items()
        if isinstance(text, str)
        and _NAME.fullmatch(name)
        and len(text) <= _PRINTED
        and text.isprintable()
        and not ('"' in text and "%" in text)
    }
