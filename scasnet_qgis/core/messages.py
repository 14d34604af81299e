"""Texts for people, kept as a template and its values until they are shown.

Nothing below the QGIS layer knows the user's language. Sentences are marked here, so that the
translation tools find them, and translated where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scasnet_qgis.core.redaction import without_secrets


def translate(_context: str, text: str) -> str:
    """Mark a text as one to be translated; the text itself comes back."""
    return text


@dataclass(frozen=True)
class Message:
    """A template as for ``str.format``, and what goes into it; its text is English."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.filled(self.template)

    def filled(self, template: str) -> str:
        """``template``, this one's translation, with the values; without values as it is.

        Values may name layers and files, whose names may hold passwords and keys.
        """
        return without_secrets(template.format(**self.values)) if self.values else template


def message(template: str, **values: Any) -> Message:
    """A Message; write the template as ``translate("ScasNet", "...")``."""
    return Message(template, values)
