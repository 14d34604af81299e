"""The description of a run in words: its image, area, settings, computer and software."""

from __future__ import annotations

from scasnet_qgis.common.messages import message
from scasnet_qgis.common.options import options_of
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.settings import DECLARED, labels_of_settings
from scasnet_qgis.outputs.provenance.run_record import Record
from scasnet_qgis.qgis_ui.about.fact_lines import Facts
from scasnet_qgis.qgis_ui.processing.base import translated

_MOST_FILES = 20  # that are shown; the JSON has all


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
            "{started} to {ended} ({seconds:,.1f} seconds), going on with an interrupted run that "
            "had finished {kept:.0%}",
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
        f"{each.text('name')} = {each.count('number')}" for each in record.parts("input", "bands")
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
    for each in part.parts("files")[:_MOST_FILES]:
        shown = [each.text("path")]
        if each.number("bytes") is not None:
            shown.append(translate("ScasNet", "{count:,} bytes").format(count=each.count("bytes")))
        if each.text("modified"):
            text = translate("ScasNet", "changed {time}")
            shown.append(text.format(time=each.text("modified")))
        if each.text("sha256"):
            text = translate("ScasNet", "SHA-256 {digest} of {part}")
            shown.append(text.format(digest=each.text("sha256"), part=each.text("sha256_of")))
        shown.append(each.text("problem"))
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
        *((translate("ScasNet", "Note"), each) for each in record.texts("provider", "notes")),
        (translate("ScasNet", "Software"), ", ".join(listed)),
    ]


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
