"""Translatable messages: a template and its values, translated where they are shown.

Nothing below the QGIS layer knows the user's language. ``translate`` marks the texts for the
translation tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scasnet_qgis.common.redaction import without_secrets


def translate(_context: str, text: str) -> str:
    """Mark a text for translation; returns it unchanged."""
    return text


@dataclass(frozen=True)
class Message:
    """A template for ``str.format`` and its values; ``str`` gives the English text."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.filled(self.template)

    def filled(self, template: str) -> str:
        """The translation ``template`` with the values filled in; without values as it is.

        Values may name layers and files, whose names may hold passwords and keys.
        """
        return without_secrets(template.format(**self.values)) if self.values else template


def message(template: str, **values: Any) -> Message:
    """A Message; write the template as ``translate("ScasNet", "...")``."""
    return Message(template, values)
