"""The lines of JSON in which the training process tells QGIS how it goes.

::

    {"event": "start", "python": "3.11.2 ..."}
    {"event": "progress", "fraction": 0.25}
    {"event": "info" | "warn", "template": "Step {step}", "values": {"step": 7}}
    {"event": "result", "values": {...}}
    {"event": "error", "kind": "InputError", "template": ..., "values": ..., "detail": ...}

A value that is a text of its own travels as its template and values under one key, TEXT.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from scasnet_qgis.common import errors
from scasnet_qgis.common.errors import Cancelled, ScasNetError, TrainingError
from scasnet_qgis.common.messages import Message

TEXT = "text of the plugin"


def line_of(event: str, **parts: Any) -> str:
    """One event as a line, without its end; what JSON does not know becomes text."""
    return json.dumps({"event": event, **parts}, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return {TEXT: {"template": value.template, "values": dict(value.values)}}
    if hasattr(value, "tolist"):  # a number or an array of numpy
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def event_of(line: str) -> dict[str, Any] | None:
    """The event in a line, None where it is anything else that was printed."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None


def text_parts(text: str | Message) -> dict[str, Any]:
    """A text for the log as the parts of an event."""
    if isinstance(text, str):
        return {"template": text, "values": {}}
    return {"template": text.template, "values": dict(text.values)}


def text_of(event: Mapping[str, Any]) -> Message:
    """The text of an event, to be translated where it is shown."""
    values = event.get("values")
    return Message(
        str(event.get("template", "")),
        {key: _value(value) for key, value in values.items()} if isinstance(values, dict) else {},
    )


def _value(value: Any) -> Any:
    inner = value.get(TEXT) if isinstance(value, dict) and len(value) == 1 else None
    return value if inner is None else text_of(inner)


def error_parts(error: ScasNetError) -> dict[str, Any]:
    """An error as the parts of an event."""
    parts = text_parts(error.message)
    return {"kind": type(error).__name__, **parts, "detail": error.detail}


def error_of(event: Mapping[str, Any]) -> ScasNetError:
    """The error of an event, with its class, sentence and detail."""
    kind = getattr(errors, str(event.get("kind")), None)
    if kind is Cancelled:
        return Cancelled()
    if not (isinstance(kind, type) and issubclass(kind, ScasNetError)):
        kind = TrainingError
    text = text_of(event)
    return kind(text.template, str(event.get("detail", "")), **text.values)
