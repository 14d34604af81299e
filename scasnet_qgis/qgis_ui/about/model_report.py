"""A model file described in words: for the log of a run, as text, and as a page."""

from __future__ import annotations

import numpy as np

from scasnet_qgis.common.model_card import PREFIX, ModelCard
from scasnet_qgis.common.reports import page as html
from scasnet_qgis.common.reports.charts import MAX_TABLE_CLASSES
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.i18n import translate
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.qgis_ui.about.model_facts import ModelFacts

Facts = list[tuple[str, str]]


def card_text(model: ModelInfo) -> str:
    """The model's card for the log of a run."""
    return lines_of([*_identity(model), *_origin(model.card), *_accuracy(model.card)])


def lines_of(facts: Facts) -> str:
    """A line for each fact; further lines of a text are set in, so that none passes for a fact."""
    return "\n".join(f"{label}: {value}".replace("\n", "\n    ") for label, value in facts)


def as_text(facts: ModelFacts) -> str:
    """The whole card for the log."""
    card = facts.model.card
    classes = [(f"{value} {kind.name}", kind.color) for value, kind in enumerate(card.classes, 1)]
    lines = [
        *_identity(facts.model),
        *_network(facts),
        *_values(facts),
        *_origin(card),
        *_description(facts),
        *_accuracy(card),
        *_class_accuracy(facts),
        *_confusion(facts),
        *_file(facts),
        *_keys(facts),
    ]
    heading = translate("ScasNet", "Map values, classes and colours")
    listed = "; ".join(f"{name} ({color})" for name, color in classes)
    return lines_of([*lines, (heading, listed)])


def as_html(facts: ModelFacts) -> str:
    """The whole card as a page."""
    model, card = facts.model, facts.model.card
    first = [*_identity(model), *_origin(card), *_description(facts)]
    sections = [
        html.section(translate("ScasNet", "Model"), html.facts(first)),
        html.section(translate("ScasNet", "Classes"), _class_table(facts)),
        _accuracy_section(facts),
        html.section(
            translate("ScasNet", "Network and input"),
            html.facts([*_network(facts), *_values(facts)]),
        ),
        html.section(translate("ScasNet", "File"), html.facts([*_file(facts), *_keys(facts)])),
    ]
    language = translate("ScasNet", "en")  # the code of the language the texts are in
    return html.page(card.name or model.path.name, *filter(None, sections), lang=language)


def _identity(model: ModelInfo) -> Facts:
    """Name, classes, bands and ground resolution."""
    card = model.card
    facts = [
        (translate("ScasNet", "Model"), card.name or model.path.name),
        (translate("ScasNet", "Classes"), ", ".join(card.class_names)),
        (translate("ScasNet", "Bands"), ", ".join(card.bands)),
    ]
    if card.resolution:
        low, high = card.resolution
        one, text = translate("ScasNet", "{low:g} m"), translate("ScasNet", "{low:g} to {high:g} m")
        value = (one if f"{low:g}" == f"{high:g}" else text).format(low=low, high=high)
        facts.append((translate("ScasNet", "Ground resolution"), value))
    return facts


def _origin(card: ModelCard) -> Facts:
    """Training data, licence and attribution, as far as the card names them."""
    facts = (
        (translate("ScasNet", "Training data"), card.training_data),
        (translate("ScasNet", "Licence"), card.licence),
        (translate("ScasNet", "Attribution"), card.attribution),
    )
    return [(label, value) for label, value in facts if value]


def _accuracy(card: ModelCard) -> Facts:
    """Overall accuracy and mean IoU, where the card has both."""
    known = card.accuracy
    if known.get("overall_accuracy") is None or known.get("mean_iou") is None:
        return []
    label = translate("ScasNet", "Accuracy on {data}").format(
        data=known.get("data") or translate("ScasNet", "unnamed data")
    )
    text = translate("ScasNet", "overall {oa:.3f}, mean IoU {iou:.3f}")
    return [(label, text.format(oa=known["overall_accuracy"], iou=known["mean_iou"]))]


def _network(facts: ModelFacts) -> Facts:
    model, card = facts.model, facts.model.card
    found = []
    if card.network:
        found.append((translate("ScasNet", "Network"), card.network))
    if card.width is not None:
        label = translate("ScasNet", "Width (1: published network)")
        found.append((label, f"{card.width:g}"))
    if facts.inside.precision:
        text = translate("ScasNet", "{count:,}, stored as {kind}")
        weights = text.format(count=facts.inside.weights, kind=facts.inside.precision)
        found.append((translate("ScasNet", "Weights"), weights))
    found.append((translate("ScasNet", "Tiles"), _tiles(model)))
    if model.margin:
        text = translate("ScasNet", "{margin} pixels on each side, for context only")
        found.append((translate("ScasNet", "Margin"), text.format(margin=model.margin)))
    if model.fixed_batch is not None:
        found.append((translate("ScasNet", "Batch size (tiles)"), str(model.fixed_batch)))
    return found


def _tiles(model: ModelInfo) -> str:
    card = model.card
    if model.fixed_size is not None:
        text = translate("ScasNet", "{cols} × {rows} pixels only, overlap {overlap} pixels")
        rows, cols = model.fixed_size
        return str(text.format(rows=rows, cols=cols, overlap=card.overlap))
    text = translate("ScasNet", "any size; recommended: {size} pixels, overlap {overlap}")
    return str(text.format(size=card.tile_size, overlap=card.overlap))


def _values(facts: ModelFacts) -> Facts:
    """What the model wants its numbers to be."""
    model, card = facts.model, facts.model.card
    limits = translate("ScasNet", "{low:g} to {high:g}, scaled to 0-1 ({kind})").format(
        low=card.value_range[0], high=card.value_range[1], kind=model.input_type
    )
    means = ", ".join(f"{mean:.4g}" for mean in card.mean)
    deviations = ", ".join(f"{std:.4g}" for std in card.std)
    if card.standardise:
        text = translate(
            "ScasNet", "before the model: mean {means}, standard deviation {deviations}"
        )
    elif f"{PREFIX}mean" in facts.own_keys:
        text = translate("ScasNet", "in the model: mean {means}, standard deviation {deviations}")
    else:
        text = translate("ScasNet", "not stated: the model gets values from 0 to 1")
    return [
        (translate("ScasNet", "Input value range"), limits),
        (translate("ScasNet", "Normalisation"), text.format(means=means, deviations=deviations)),
    ]


def _description(facts: ModelFacts) -> Facts:
    text = facts.model.card.description
    return [(translate("ScasNet", "Description"), text)] if text else []


def _class_accuracy(facts: ModelFacts) -> Facts:
    shares = facts.model.card.accuracy.get("iou")
    if not shares:
        return []
    listed = ", ".join(f"{name} {html.decimal(share)}" for name, share in shares.items())
    return [(translate("ScasNet", "IoU by class"), listed)]


def _confusion(facts: ModelFacts) -> Facts:
    """A line for each class of the reference; of many classes, they would be no help."""
    names = facts.model.card.class_names
    counts = facts.model.card.accuracy.get("confusion", [])
    if len(counts) != len(names) or len(names) > MAX_TABLE_CLASSES:
        return []
    text = translate("ScasNet", "Reference pixels of {name}, mapped as")
    return [
        (
            text.format(name=name),
            ", ".join(f"{other} {count:,}" for other, count in zip(names, row)),
        )
        for name, row in zip(names, counts)
    ]


def _class_table(facts: ModelFacts) -> str:
    card = facts.model.card
    shares = card.accuracy.get("iou", {})
    head = [
        translate("ScasNet", "Class"),
        translate("ScasNet", "Map value"),
        translate("ScasNet", "Colour"),
        translate("ScasNet", "IoU"),
    ]
    rows = [
        [kind.name, str(value), kind.color, html.decimal(shares.get(kind.name))]
        for value, kind in enumerate(card.classes, start=1)
    ]
    return html.table(head, rows, [kind.color for kind in card.classes])


def _accuracy_section(facts: ModelFacts) -> str:
    card = facts.model.card
    parts = [html.paragraph(f"{label}: {value}") for label, value in _accuracy(card)]
    confusion = card.accuracy.get("confusion")
    if confusion and len(confusion) == len(card.classes):
        caption = translate(
            "ScasNet",
            "Confusion matrix: pixels by reference class (rows) and mapped class (columns), with "
            "their share of the row. Correct pixels are outlined.",
        )
        corner, names = translate("ScasNet", "Reference ↓ Map →"), card.class_names
        counts = np.array(confusion)
        parts.append(html.heat_map(counts, names, names, corner=corner, caption=caption))
    if not parts:
        return ""
    explained = translate(
        "ScasNet",
        "Overall accuracy: share of pixels with the right class. IoU (intersection over union) of "
        "a class: where map and reference agree on it, divided by where either of them has it.",
    )
    title = translate("ScasNet", "Accuracy")
    return html.section(title, *parts, html.paragraph(explained))


def _file(facts: ModelFacts) -> Facts:
    size = translate("ScasNet", "{megabytes:.2f} MB ({count:,} bytes)").format(
        megabytes=facts.size / 1e6, count=facts.size
    )
    found = [
        (translate("ScasNet", "File"), str(facts.model.path)),
        (translate("ScasNet", "Size"), size),
        ("SHA-256", facts.sha256),
    ]
    producer = clean_name(facts.inside.producer)
    if producer:
        found.append((translate("ScasNet", "Created with"), producer))
    if facts.inside.opset is not None:
        found.append((translate("ScasNet", "ONNX operator set"), str(facts.inside.opset)))
    return found


def _keys(facts: ModelFacts) -> Facts:
    listed = (
        (translate("ScasNet", "Metadata keys (ScasNet)"), facts.own_keys),
        (translate("ScasNet", "Metadata keys (Deepness, GeoDeep)"), facts.peer_keys),
        (translate("ScasNet", "Other metadata keys (not read)"), facts.other_keys),
    )
    found = [(label, ", ".join(keys)) for label, keys in listed if keys]
    none = translate("ScasNet", "none: the file does not describe itself, so defaults are used")
    return found or [(translate("ScasNet", "Metadata keys"), none)]
