"""A map's origin described in words: for the log, and as a page."""

from __future__ import annotations

import os

from scasnet_qgis.common.reports import page as html
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.i18n import translate
from scasnet_qgis.outputs.provenance.command_line import command, safe_parameters
from scasnet_qgis.outputs.provenance.run_record import Record
from scasnet_qgis.qgis_ui.about import fact_lines as card_texts
from scasnet_qgis.qgis_ui.about import run_facts as map_run_texts
from scasnet_qgis.qgis_ui.about.fact_lines import Facts
from scasnet_qgis.qgis_ui.about.map_facts import ALONE, CHANGED, MapFacts
from scasnet_qgis.qgis_ui.about.run_facts import stamp_labels

_SEGMENT = "scasnet:segment"


def as_text(facts: MapFacts) -> str:
    """All of it for the log."""
    label = translate("ScasNet", "Warning")
    lines = [
        *_file(facts),
        *((label, each) for each in _doubts(facts)),
        *_origin(facts),
        *((each, figures) for each, _, figures in _class_lines(facts)),
    ]
    for _, found in _sections(facts):
        lines += found
    lines += [(label, each) for each in _warnings(facts)]
    repeat = _command(facts)
    if repeat:
        lines.append((translate("ScasNet", "Repeat this map"), repeat))
        lines += [(translate("ScasNet", "Before that"), each) for each in _notes(facts)]
    return card_texts.as_text(lines)


def as_html(facts: MapFacts) -> str:
    """All of it as a page."""
    first = [*map(html.warning, _doubts(facts)), html.facts([*_file(facts), *_origin(facts)])]
    sections = [
        html.section(translate("ScasNet", "Map"), *first, *map(html.warning, _warnings(facts))),
        _class_section(facts),
        *(html.section(title, html.facts(found)) for title, found in _sections(facts) if found),
        _repeat_section(facts),
    ]
    language = translate("ScasNet", "en")  # the code of the language the texts are in
    return html.page(facts.path.name, *filter(None, sections), lang=language)


def _file(facts: MapFacts) -> Facts:
    size = translate("ScasNet", "{megabytes:.2f} MB ({count:,} bytes)").format(
        megabytes=facts.size / 1e6, count=facts.size
    )
    return [
        (translate("ScasNet", "Map file"), str(facts.path)),
        (translate("ScasNet", "File unchanged since creation"), _state(facts)),
        (translate("ScasNet", "Size of the map file"), size),
        ("SHA-256", facts.sha256),
    ]


def _state(facts: MapFacts) -> str:
    entry = facts.delivered
    if entry is not None:
        name = entry.text("name")
        if name == facts.path.name:
            return translate("ScasNet", "yes")
        text = translate("ScasNet", "yes; its name was {name}")
        return str(text.format(name=name))
    if facts.state == CHANGED:
        return translate("ScasNet", "no")
    return translate("ScasNet", "unknown: the description beside it is missing")


def _doubts(facts: MapFacts) -> list[str]:
    """What speaks against believing the description."""
    found = []
    if facts.state == CHANGED:
        found.append(
            translate(
                "ScasNet",
                "The map was changed after the run, or the description beside it belongs to"
                " another map.",
            )
        )
    if facts.state == ALONE and facts.problem:
        text = translate("ScasNet", "The description beside the map cannot be read: {problem}")
        found.append(text.format(problem=facts.problem.replace("\n", " ")))
    if facts.other_model:
        found.append(
            translate("ScasNet", "The map was made with another model than the description says.")
        )
    if facts.record is not None and not facts.record.intact:
        found.append(
            translate("ScasNet", "The description was edited after the run: do not rely on it.")
        )
    return found


def _origin(facts: MapFacts) -> Facts:
    """When and with which model, by the description, else by the file itself."""
    stamp, record = facts.stamp, facts.record or Record({})
    made = map_run_texts.time_of(record)
    found = [
        (translate("ScasNet", "Made"), made),
        (
            translate("ScasNet", "Model"),
            record.text("model", "card", "name") or _of(stamp, "MODEL"),
        ),
        (
            translate("ScasNet", "SHA-256 of the model"),
            record.text("model", "sha256") or _of(stamp, "MODEL_SHA256"),
        ),
        (
            translate("ScasNet", "Licence of the model"),
            record.text("model", "card", "licence") or _of(stamp, "LICENCE"),
        ),
        (
            translate("ScasNet", "Attribution"),
            record.text("model", "card", "attribution") or _of(stamp, "ATTRIBUTION"),
        ),
    ]
    if facts.record is None:
        found += [(label, _of(stamp, name)) for name, label in stamp_labels().items()]
    return [(label, value) for label, value in found if value]


def _of(stamp: dict[str, str], name: str) -> str:
    return stamp.get(name, "").replace("\n", " ")


def _sections(facts: MapFacts) -> list[tuple[str, Facts]]:
    return [] if facts.record is None else map_run_texts.sections(facts.record)


def _class_lines(facts: MapFacts) -> list[tuple[str, str, str]]:
    """Label, colour and figures of each class."""
    unit = (facts.record or Record({})).text("map", "area_unit")
    found = []
    for each in facts.classes:
        label = translate("ScasNet", "Class {value}, {name}").format(
            value=each.count("value"), name=clean_name(each.at("name"))
        )
        color = clean_name(each.at("color"))
        figures = [color]
        if each.number("pixels") is not None:
            text = translate("ScasNet", "{pixels:,} pixels")
            figures.append(text.format(pixels=each.count("pixels")))
        if unit and unit != "pixels":
            figures.append(f"{each.number('area') or 0.0:,.2f} {unit}")
        found.append((label, color, ", ".join(filter(None, figures))))
    return found


def _class_section(facts: MapFacts) -> str:
    if not facts.classes:
        return ""
    unit = (facts.record or Record({})).text("map", "area_unit") or "m2"
    head = [
        translate("ScasNet", "Class"),
        translate("ScasNet", "Value in the map"),
        translate("ScasNet", "Colour"),
        translate("ScasNet", "Pixels"),
        translate("ScasNet", "Area ({unit})").format(unit=unit),
    ]
    rows = [
        [
            clean_name(each.at("name")),
            str(each.count("value")),
            clean_name(each.at("color")),
            html.count(each.number("pixels")),
            html.decimal(each.number("area"), 2),
        ]
        for each in facts.classes
    ]
    colors = [clean_name(each.at("color")) for each in facts.classes]
    return html.section(translate("ScasNet", "Classes"), html.table(head, rows, colors))


def _warnings(facts: MapFacts) -> list[str]:
    return [] if facts.record is None else facts.record.texts("warnings")


def _notes(facts: MapFacts) -> list[str]:
    return [] if facts.record is None else facts.record.texts("repeat", "notes")


def _command(facts: MapFacts) -> str:
    """Put together anew: a command that somebody wrote into a file is not passed on."""
    if facts.record is None:
        return ""
    parameters = safe_parameters(facts.record.at("repeat", "parameters"))
    return command(_SEGMENT, parameters, windows=os.name == "nt") if parameters else ""


def _repeat_section(facts: MapFacts) -> str:
    repeat = _command(facts)
    if not repeat:
        return ""
    notes = map(html.warning, _notes(facts))
    title = translate("ScasNet", "Repeat this map")
    return html.section(title, html.preformatted(repeat), *notes)
