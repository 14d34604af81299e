"""The ``qgis_process`` command that repeats a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[A-Z][A-Z_]{0,40}")
_MAX_VALUE = 4000  # characters of one value


def command(algorithm: str, parameters: Mapping[str, str], windows: bool) -> str:
    """The command as one line for a POSIX shell, or with ``windows`` for the OSGeo4W shell."""
    quote = _quoted_for_windows if windows else _quoted
    words = [quote(f"{name}={value}") for name, value in parameters.items()]
    return " ".join((f"qgis_process run {algorithm} --", *words))


def _quoted(word: str) -> str:
    name, _, value = word.partition("=")
    return f"{name}={shlex.quote(value)}"


def _quoted_for_windows(word: str) -> str:
    """The value always in quotes: outside of them &, | and others would begin another command.

    Quotes inside are doubled, and so are backslashes before any quote: programs undo both.
    """
    inner = re.sub(r'(\\*)"', r'\1\1""', word)
    closing = "\\" * (len(inner) - len(inner.rstrip("\\")))
    return f'"{inner}{closing}"'


def safe_parameters(value: Any) -> dict[str, str]:
    """The parameters in an untrusted document that are safe to show in a command.

    Left out are invalid names, and values with characters that do not print or that end the quotes
    in some shell: what looks harmless must be so when it is pasted.
    """
    if not isinstance(value, dict):
        return {}
    return {
        name: text
        for name, text in value.items()
        if isinstance(text, str)
        and _NAME.fullmatch(name)
        and len(text) <= _MAX_VALUE
        and text.isprintable()
        and not ('"' in text and "%" in text)
    }
