"""The settings of a run in words: as they were given, and as they turned out."""

from __future__ import annotations

from scasnet_qgis.algorithms.base import translated
from scasnet_qgis.algorithms.card_texts import Facts
from scasnet_qgis.common.options import options_of
from scasnet_qgis.core.messages import message
from scasnet_qgis.core.run_record import Record
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping_settings import DECLARED, labels_of_settings
from scasnet_qgis.refinements import REFINEMENTS

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


def stamp_labels() -> dict[str, str]:
    """The labels of the settings that a map file itself names, by their keys there."""
    found = {}
    for declared in DECLARED:
        for setting in options_of(declared).values():
            if setting.part_of_identity or setting.stamped:
                found[setting.parameter] = translated(message(setting.label))
    return {**found, "PLUGIN": translate("ScasNet", "Plugin version")}


def _given() -> dict[str, str]:
    """The labels that the parameters have in the toolbox, by attribute."""
    found = {name: translated(message(text)) for name, text in labels_of_settings().items()}
    return {**found, "probabilities": translate("ScasNet", "Class probabilities")}


def _used() -> dict[str, str]:
    return {
        "model_sees": translate("ScasNet", "Image size seen by the model"),
        "model_sees_m": translate("ScasNet", "Ground resolution seen by the model (m)"),
        "tile": translate("ScasNet", "Largest tile"),
        "tile_of_the_plan": translate("ScasNet", "Tile"),
        "tiles": translate("ScasNet", "Number of tiles"),
        "overlap": translate("ScasNet", "Overlap (pixels)"),
        "batch": translate("ScasNet", "Batch size (tiles)"),
        "threads": translate("ScasNet", "CPU threads"),
        "workers": translate("ScasNet", "Tiles computed in parallel"),
        **{
            name: translated(message(label))
            for refinement in REFINEMENTS
            for name, label in refinement.fact_labels.items()
        },
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
