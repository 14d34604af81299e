"""A map's origin described in words: for the log, and as a page."""

from __future__ import annotations

import os

from scasnet_qgis.common.messages import message
from scasnet_qgis.common.options import options_of
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.settings import DECLARED, labels_of_settings
from scasnet_qgis.outputs.provenance.command_line import command, safe_parameters
from scasnet_qgis.outputs.provenance.run_record import Record
from scasnet_qgis.qgis_ui.about.map_facts import ALONE, CHANGED, MapFacts
from scasnet_qgis.qgis_ui.about.model_report import Facts, lines_of
from scasnet_qgis.qgis_ui.processing.base import translated

_SEGMENT = "scasnet:segment"
_MOST_FILES, _MOST_SETTINGS = 20, 100  # that are shown; the JSON has all


def as_text(facts: MapFacts) -> str:
    """All of it for the log."""
    label = translate("ScasNet", "Warning")
    lines = [
        *_file(facts),
        *((label, doubt) for doubt in _doubts(facts)),
        *_origin(facts),
        *((label, figures) for label, _, figures in _class_lines(facts)),
    ]
    for _, found in _sections(facts):
        lines += found
    lines += [(label, warning) for warning in _warnings(facts)]
    repeat = _command(facts)
    if repeat:
        lines.append((translate("ScasNet", "Repeat this map"), repeat))
        lines += [(translate("ScasNet", "Do first"), note) for note in _notes(facts)]
    return lines_of(lines)


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
    made = time_of(record)
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
    return [] if facts.record is None else sections(facts.record)


def _class_lines(facts: MapFacts) -> list[tuple[str, str, str]]:
    """Label, colour and figures of each class."""
    unit = (facts.record or Record({})).text("map", "area_unit")
    found = []
    for entry in facts.classes:
        label = translate("ScasNet", "Class {value}, {name}").format(
            value=entry.count("value"), name=clean_name(entry.at("name"))
        )
        color = clean_name(entry.at("color"))
        figures = [color]
        if entry.number("pixels") is not None:
            text = translate("ScasNet", "{pixels:,} pixels")
            figures.append(text.format(pixels=entry.count("pixels")))
        if unit and unit != "pixels":
            figures.append(f"{entry.number('area') or 0.0:,.2f} {unit}")
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
            clean_name(entry.at("name")),
            str(entry.count("value")),
            clean_name(entry.at("color")),
            html.count(entry.number("pixels")),
            html.decimal(entry.number("area"), 2),
        ]
        for entry in facts.classes
    ]
    colors = [clean_name(entry.at("color")) for entry in facts.classes]
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


def sections(record: Record) -> list[tuple[str, Facts]]:
    """Headings and what stands under them, without what the description leaves open."""
    found = (
        (translate("ScasNet", "Image"), _image(record)),
        (translate("ScasNet", "Extent and mask"), _area(record)),
        (translate("ScasNet", "Settings"), settings_facts(record)),
        (translate("ScasNet", "Model file"), _model(record)),
        (translate("ScasNet", "Computer"), _computer(record)),
    )
    return [(title, [fact for fact in facts if fact[1]]) for title, facts in found]


def time_of(record: Record) -> str:
    """From when to when, in UTC as it was written."""
    if not record.text("started"):
        return ""
    text = translate("ScasNet", "{started} to {ended} ({seconds:,.1f} seconds)")
    kept = record.number("kept_of_an_interrupted_run") or 0.0
    if kept > 0:
        text = translate(
            "ScasNet",
            "{started} to {ended} ({seconds:,.1f} seconds), resuming an interrupted run that had "
            "finished {kept:.0%}",
        )
    return str(
        text.format(
            started=record.text("started"),
            ended=record.text("ended"),
            seconds=record.number("seconds") or 0.0,
            kept=kept,
        )
    )


def _image(record: Record) -> Facts:
    bands = [
        f"{band.text('name')} = {band.count('number')}" for band in record.parts("input", "bands")
    ]
    return [
        (translate("ScasNet", "Image"), record.text("input", "source")),
        *_rendered(record),
        *_files(Record(record.at("input")), translate("ScasNet", "Image file")),
        (translate("ScasNet", "Pixels of the image"), _size(record, "input")),
        (translate("ScasNet", "Coordinate reference system"), _reference(record)),
        (translate("ScasNet", "Geotransform"), ", ".join(record.texts("input", "geotransform"))),
        (translate("ScasNet", "Type of the values"), record.text("input", "type")),
        (translate("ScasNet", "Bands"), ", ".join(bands)),
        (translate("ScasNet", "Scaling"), record.text("input", "scaling", "rule")),
        (translate("ScasNet", "Nodata"), record.text("input", "nodata", "rule")),
    ]


def _rendered(record: Record) -> Facts:
    """A layer without a file; it was fetched while the run lasted."""
    part = Record(record.at("input", "rendered"))
    service = ", ".join(filter(None, (part.text("provider"), part.text("address"))))
    requests = part.count("requests")
    return [
        (translate("ScasNet", "Rendered from the layer"), part.text("name")),
        (translate("ScasNet", "Service"), service),
        (translate("ScasNet", "Attribution of the image"), part.text("attribution")),
        (translate("ScasNet", "Requests to the service"), f"{requests:,}" if requests else ""),
    ]


def _size(record: Record, part: str) -> str:
    rows, cols = record.count(part, "rows"), record.count(part, "cols")
    text = translate("ScasNet", "{cols} columns x {rows} rows")
    return str(text.format(rows=rows, cols=cols)) if rows and cols else ""


def _reference(record: Record) -> str:
    return record.text("input", "crs") or record.text("input", "wkt")


def _files(part: Record, label: str) -> Facts:
    """Each file with what tells its state from another."""
    found = []
    for file in part.parts("files")[:_MOST_FILES]:
        shown = [file.text("path")]
        if file.number("bytes") is not None:
            shown.append(translate("ScasNet", "{count:,} bytes").format(count=file.count("bytes")))
        if file.text("modified"):
            text = translate("ScasNet", "changed {time}")
            shown.append(text.format(time=file.text("modified")))
        if file.text("sha256"):
            text = translate("ScasNet", "SHA-256 {digest} of {part}")
            shown.append(text.format(digest=file.text("sha256"), part=file.text("sha256_of")))
        shown.append(file.text("problem"))
        found.append((label, ", ".join(filter(None, shown))))
    more = part.count("file_count") - len(found)
    if more > 0:
        text = translate("ScasNet", "{count:,} more, in the JSON or in the listing only")
        found.append((label, text.format(count=more)))
    return found


def _area(record: Record) -> Facts:
    extent = ", ".join(record.texts("area", "extent"))
    mask = record.text("area", "mask", "source")
    layer = record.text("area", "mask", "layer")
    return [
        (translate("ScasNet", "Extent (x min, y min, x max, y max)"), extent),
        (translate("ScasNet", "Pixels of the map"), _size(record, "map")),
        (translate("ScasNet", "Mask"), f"{mask} ({layer})" if layer else mask),
        *_files(Record(record.at("area", "mask")), translate("ScasNet", "Mask file")),
    ]


def _model(record: Record) -> Facts:
    size = record.count("model", "bytes")
    return [
        (translate("ScasNet", "Model file"), record.text("model", "path")),
        (
            translate("ScasNet", "Size of the model file"),
            translate("ScasNet", "{count:,} bytes").format(count=size) if size else "",
        ),
        (translate("ScasNet", "Network"), record.text("model", "card", "network")),
        (translate("ScasNet", "Training data"), record.text("model", "card", "training_data")),
    ]


def _device(record: Record) -> str:
    parts = (record.text("provider", "device"), record.text("provider", "details"))
    return ", ".join(filter(None, parts))


def _computer(record: Record) -> Facts:
    versions = record.at("software")
    listed = [
        f"{Record(name).text()} {record.text('software', name)}"
        for name in (list(versions)[:50] if isinstance(versions, dict) else [])
    ]
    return [
        (translate("ScasNet", "The model ran on"), record.text("provider", "name")),
        (translate("ScasNet", "Device"), _device(record)),
        *((translate("ScasNet", "Note"), note) for note in record.texts("provider", "notes")),
        (translate("ScasNet", "Software"), ", ".join(listed)),
    ]


def settings_facts(record: Record) -> Facts:
    """All that are not empty; what this version does not know has its name from the JSON."""
    given, used = _given(), _used()
    as_given = translate("ScasNet", "{name}, as given")
    as_used = translate("ScasNet", "{name}, as used")
    return [*_facts(record, "given", given, as_given), *_facts(record, "used", used, as_used)]


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
    for name in list(values)[:_MOST_SETTINGS] if isinstance(values, dict) else []:
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
