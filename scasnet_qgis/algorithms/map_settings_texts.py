"""The settings of a run in words: as they were given, and as they turned out."""

from __future__ import annotations

from scasnet_qgis.algorithms.card_texts import Facts
from scasnet_qgis.core.run_record import Record
from scasnet_qgis.i18n import translate

_MOST = 100  # settings that are shown; the JSON has all


def settings_facts(record: Record) -> Facts:
    """All that are not empty; what this version does not know has its name from the JSON."""
    given, used = _given(), _used()
    as_given = translate("ScasNet", "{name}, as given")
    as_used = translate("ScasNet", "{name}, as used")
    return [
        *_facts(record, "given", given, as_given),
        *_facts(record, "used", used, as_used),
    ]


def stamp_words() -> dict[str, str]:
    """What the settings that a map file itself names are called."""
    given = _given()
    keys = ("VALUE_RANGE", "RESAMPLE", "SCALES", "FLIPS", "SIEVE", "MIN_CONFIDENCE")
    return {
        **{key: given[key.lower()] for key in keys},
        "PLUGIN": translate("ScasNet", "Version of the plugin"),
    }


def _given() -> dict[str, str]:
    """The names that the parameters have in the toolbox, where they are one."""
    return {
        "bands": translate("ScasNet", "Bands"),
        "value_range": translate("ScasNet", "Range of values"),
        "device": translate("ScasNet", "Device"),
        "tile_size": translate("ScasNet", "Tile size (pixels)"),
        "overlap": translate("ScasNet", "Overlap (pixels)"),
        "batch": translate("ScasNet", "Tiles at a time"),
        "threads": translate("ScasNet", "Processor threads"),
        "resample": translate("ScasNet", "Bring the image to the model's ground resolution"),
        "scales": translate("ScasNet", "Scales"),
        "flips": translate("ScasNet", "Flips"),
        "min_confidence": translate("ScasNet", "Least confidence"),
        "sieve": translate("ScasNet", "Smallest patch"),
        "sieve_unit": translate("ScasNet", "Unit of the smallest patch"),
        "probabilities": translate("ScasNet", "Class probabilities"),
    }


def _used() -> dict[str, str]:
    return {
        "model_sees": translate("ScasNet", "Image that the model sees"),
        "model_sees_m": translate("ScasNet", "Ground resolution that the model sees (metres)"),
        "tile": translate("ScasNet", "Largest tile"),
        "tile_of_the_plan": translate("ScasNet", "Tile"),
        "tiles": translate("ScasNet", "Number of tiles"),
        "overlap": translate("ScasNet", "Overlap (pixels)"),
        "batch": translate("ScasNet", "Tiles at a time"),
        "threads": translate("ScasNet", "Processor threads"),
        "workers": translate("ScasNet", "Tiles computed side by side"),
        "smallest_patch_pixels": translate("ScasNet", "Smallest patch (pixels)"),
    }


def _facts(record: Record, part: str, words: dict[str, str], template: str) -> Facts:
    values, found = record.at("settings", part), []
    for name in list(values)[:_MOST] if isinstance(values, dict) else []:
        label = words.get(name) or Record(name).text()
        found.append((template.format(name=label), _value(Record(values[name]), name)))
    return found


def _value(value: Record, name: str) -> str:
    if isinstance(value.content, bool):
        return translate("ScasNet", "yes") if value.content else translate("ScasNet", "no")
    listed = value.texts()
    if name in ("model_sees", "tile", "tile_of_the_plan") and len(listed) == 2:
        text = translate("ScasNet", "{cols} columns x {rows} rows")
        return str(text.format(rows=listed[0], cols=listed[1]))
    return value.text() or ", ".join(listed)
