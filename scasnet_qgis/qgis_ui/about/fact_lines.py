"""A model's card in words, for the log and for ``scasnet:modelinfo``."""

from __future__ import annotations

from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.i18n import translate
from scasnet_qgis.models.model_file import ModelInfo

Facts = list[tuple[str, str]]


def card_text(model: ModelInfo) -> str:
    """The model's card for the log of a run."""
    return as_text([*identity(model), *origin(model.card), *accuracy(model.card)])


def as_text(facts: Facts) -> str:
    """A line for each fact; further lines of a text are set in, so that none passes for a fact."""
    return "\n".join(f"{label}: {value}".replace("\n", "\n    ") for label, value in facts)


def identity(model: ModelInfo) -> Facts:
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


def origin(card: ModelCard) -> Facts:
    """Training data, licence and attribution, as far as the card names them."""
    facts = (
        (translate("ScasNet", "Training data"), card.training_data),
        (translate("ScasNet", "Licence"), card.licence),
        (translate("ScasNet", "Attribution"), card.attribution),
    )
    return [(label, value) for label, value in facts if value]


def accuracy(card: ModelCard) -> Facts:
    """Overall accuracy and mean IoU, where the card has both."""
    known = card.accuracy
    if known.get("overall_accuracy") is None or known.get("mean_iou") is None:
        return []
    label = translate("ScasNet", "Accuracy on {data}").format(
        data=known.get("data") or translate("ScasNet", "unnamed data")
    )
    text = translate("ScasNet", "overall {oa:.3f}, mean IoU {iou:.3f}")
    return [(label, text.format(oa=known["overall_accuracy"], iou=known["mean_iou"]))]
