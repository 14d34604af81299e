"""Metadata and run record of a map, and whether its file is unchanged since the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.untrusted import MAX_VALUE, clean_name, clean_text, number
from scasnet_qgis.i18n import translate
from scasnet_qgis.outputs.atomic_output import ENDINGS
from scasnet_qgis.outputs.provenance.fingerprint import sha256_of
from scasnet_qgis.outputs.provenance.run_record import InvalidRecord, Record, record_file
from scasnet_qgis.outputs.provenance.stamp import read_record, read_stamp

# UNCHANGED: byte for byte what the run wrote. CHANGED: the description is of another file.
# ALONE: there is no description, so nobody can tell.
UNCHANGED, CHANGED, ALONE = "as delivered", "changed", "unknown"
_MAX_CLASSES = 254


def is_map(path: Path) -> bool:
    """Whether a file is meant as a map, by its ending."""
    return path.suffix.lower() in ENDINGS


@dataclass(frozen=True)
class MapFacts:
    """``stamp`` is what the file itself says, cleaned; ``record`` what lies beside it, None where
    there is nothing that can be read, with the reason in ``problem``."""

    path: Path
    stamp: dict[str, str]
    classes: list[Record]
    record: Record | None
    problem: str
    size: int = 0
    sha256: str = ""

    @classmethod
    def without_checksum(cls, path: Path) -> MapFacts:
        """The facts without the file's checksum; raises InputError if it is no map."""
        if not path.is_file():
            text = translate("ScasNet", "Map {path} does not exist: choose another file.")
            raise InputError(text, path=path)
        stamp = read_stamp(path)
        record, problem = None, ""
        try:
            record = read_record(path)
        except InvalidRecord as error:
            problem = clean_text(str(error))
        if not stamp and record is None:
            text = translate(
                "ScasNet",
                "{path} has no information about a model: it was not made by this plugin, "
                "or another program has rewritten it.",
            )
            raise InputError(text, problem, path=path)
        return cls(path, _cleaned(stamp), _classes(stamp, record), record, problem)

    @classmethod
    def of(cls, path: Path, check: Callable[[], None]) -> MapFacts:
        """Read the whole file; ``check`` is called between its parts and may raise Cancelled."""
        facts = cls.without_checksum(path)
        try:
            digest, size = sha256_of(path, check), path.stat().st_size
        except OSError as error:
            text = translate("ScasNet", "{path} is incomplete: copy the map again.")
            raise InputError(text, str(error), path=path) from error
        return cls(path, facts.stamp, facts.classes, facts.record, facts.problem, size, digest)

    @property
    def delivered(self) -> Record | None:
        """The entry of the description that is about these very bytes."""
        if self.record is None:
            return None
        files = self.record.parts("files")
        return next((file for file in files if file.text("sha256") == self.sha256), None)

    @property
    def state(self) -> str:
        if self.record is None:
            return ALONE
        return UNCHANGED if self.delivered is not None else CHANGED

    @property
    def other_model(self) -> bool:
        """Whether the file names another model than its description."""
        if self.record is None:
            return False
        stamped, recorded = self.stamp.get("MODEL_SHA256", ""), self.record.text("model", "sha256")
        return bool(stamped and recorded and stamped != recorded)


def _cleaned(stamp: dict[str, str]) -> dict[str, str]:
    """The items that are texts; the classes are read on their own."""
    return {clean_name(key): clean_text(value) for key, value in stamp.items() if key != "CLASSES"}


def _classes(stamp: dict[str, str], record: Record | None) -> list[Record]:
    """Those of the description, which knows their areas, else those of the file."""
    if record is not None:
        return record.parts("map", "classes")[:_MAX_CLASSES]
    text = stamp.get("CLASSES", "")
    try:
        listed = json.loads(text) if len(text) <= MAX_VALUE else []
    except (ValueError, RecursionError):
        return []
    return Record(listed).parts()[:_MAX_CLASSES]


def as_json(facts: MapFacts) -> str:
    """Every field, for programs; the description stands there as it was found."""
    record = facts.record
    content = {
        "file": {"path": str(facts.path), "bytes": facts.size, "sha256": facts.sha256},
        "state": facts.state,
        "in_the_file": facts.stamp,
        "classes": [_class_dict(entry) for entry in facts.classes],
        "description": {
            "path": str(record_file(facts.path)),
            "problem": facts.problem or None,
            "intact": None if record is None else record.intact,
            "content": None if record is None else record.content,
        },
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _class_dict(entry: Record) -> dict[str, Any]:
    return {
        "value": number(entry.at("value"), 0, 255),
        "name": clean_name(entry.at("name")),
        "color": clean_name(entry.at("color")),
        "pixels": entry.number("pixels"),
        "area": entry.number("area"),
    }
