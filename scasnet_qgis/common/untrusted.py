"""Texts and numbers from untrusted files.

Nothing here fails on odd content: what cannot be parsed becomes None or is left out, what is too
long is cut. Only a value that is too large to parse is refused.
"""

from __future__ import annotations

import ast
import errno
import json
import math
import re
import stat
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate

MAX_VALUE = 1_000_000  # characters of one metadata value; 254 classes with their confusion fit
MAX_LITERAL = 100_000  # Python literals are for short lists of names
MAX_NAME = 80
MAX_TEXT = 4_000

_MAX_DEPTH = 10  # of nested brackets in a Python literal
# One token of a list of names or numbers; no token can be long and nested.
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>[\[({])|(?P<close>[\])}])|(?P<mark>[,:])
    |(?P<value>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"
    |[-+]?[0-9][0-9.]{0,30}(?:[eE][-+]?[0-9]{1,4})?|None|True|False))\s*""",
    re.VERBOSE,
)

# Brackets that look alike but are no markup, wherever the text is shown.
_BRACKETS = {ord("<"): "‹", ord(">"): "›"}


def check_regular_file(path: Path, max_bytes: int | None = None) -> None:
    """Raise OSError unless a path is a regular file; reading a pipe or a device may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    if max_bytes is not None and status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"more than {max_bytes} bytes", str(path))


def parse(key: str, text: str) -> Any:
    """The value of metadata in JSON or as a Python literal, else the text itself.

    Raises ModelError where the text is longer than any honest one.
    """
    if len(text) > MAX_VALUE:
        raise oversized_metadata(f"{key} has {len(text)} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _literal(text)


def oversized_metadata(detail: str) -> ModelError:
    """The error of a model file with more metadata than any honest one has."""
    return ModelError(
        translate(
            "ScasNet", "The metadata of the model file is too large: export the model again."
        ),
        detail,
    )


def _literal(text: str) -> Any:
    if len(text) > MAX_LITERAL:
        return None
    if not _is_plain(text):
        return text
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _is_plain(text: str) -> bool:
    """Whether a literal has only brackets, strings and short numbers, with little nesting.

    On a long chain of anything else Python's parser may overflow the stack of some systems.
    """
    position, depth, previous = 0, 0, "mark"
    while position < len(text):
        token = _TOKEN.match(text, position)
        kind = token.lastgroup if token else None
        if token is None or kind is None:
            return False
        if kind in ("open", "value") and previous in ("close", "value"):
            return False  # a call, an index, or two adjacent strings
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if not 0 <= depth <= _MAX_DEPTH:
            return False
        position, previous = token.end(), kind
    return True


def clean_name(value: Any) -> str:
    """One line of at most MAX_NAME characters without markup; "" where there is none."""
    return _clean(" ".join(_as_text(value).split()), MAX_NAME)


def clean_text(value: Any) -> str:
    """Text of at most MAX_TEXT characters without markup; line breaks are kept."""
    return _clean(_as_text(value).strip(), MAX_TEXT)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else ""


def _clean(text: str, limit: int) -> str:
    shown = "".join(char for char in text if char == "\n" or char.isprintable())
    return shown.translate(_BRACKETS)[:limit].rstrip()


def number(value: Any, low: float, high: float) -> float | None:
    """A finite number from ``low`` to ``high``, also one given as text, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) and low <= result <= high else None


def numbers(value: Any, count: int, low: float, high: float) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers from ``low`` to ``high``, else None."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return None
    found = [number(item, low, high) for item in value]
    return tuple(parsed for parsed in found if parsed is not None) if None not in found else None
