"""A model's card in words, for the log and for ``scasnet:modelinfo``."""

from __future__ import annotations

from scasnet_qgis.core.card import ModelCard
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
    """What the model is called, what it knows and what it wants to see."""
    card = model.card
    facts = [
        (translate("ScasNet", "Model"), card.name or model.path.name),
        (translate("ScasNet", "Classes"), ", ".join(card.class_names)),
        (translate("ScasNet", "Bands of the model"), ", ".join(card.bands)),
    ]
    if card.resolution:
        text = translate("ScasNet", "{low:g} to {high:g} m")
        value = text.format(low=card.resolution[0], high=card.resolution[1])
        facts.append((translate("ScasNet", "Ground resolution"), value))
    return facts


def origin(card: ModelCard) -> Facts:
    """Where the model comes from and what may be done with it, as far as the card says."""
    facts = (
        (translate("ScasNet", "Training data"), card.training_data),
        (translate("ScasNet", "Licence"), card.licence),
        (translate("ScasNet", "Attribution"), card.attribution),
    )
    return [(label, value) for label, value in facts if value]


def accuracy(card: ModelCard) -> Facts:
    """How good the model is, if the card says so."""
    known = card.accuracy
    if known.get("overall_accuracy") is None or known.get("mean_iou") is None:
        return []
    label = translate("ScasNet", "Accuracy on {data}").format(
        data=known.get("data") or translate("ScasNet", "data the card does not name")
    )
    text = translate("ScasNet", "overall {oa:.3f}, mean IoU {iou:.3f}")
    return [(label, text.format(oa=known["overall_accuracy"], iou=known["mean_iou"]))]
