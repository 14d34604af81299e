"""Parameters of ``scasnet:segment`` that make more of the same model, and their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from scasnet_qgis.core import choices
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

SCALES, FLIPS = "SCALES", "FLIPS"
SIEVE, SIEVE_UNIT, MIN_CONFIDENCE = "SIEVE", "SIEVE_UNIT", "MIN_CONFIDENCE"
SCALES_USED, FLIPS_USED = "SCALES_USED", "FLIPS_USED"
UNCERTAIN_PIXELS, SIEVED_PIXELS = "UNCERTAIN_PIXELS", "SIEVED_PIXELS"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare the parameters."""
    _add_looks(algorithm)
    _add_rules(algorithm)


def _add_looks(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterString(SCALES, translate("ScasNet", "Scales"), "1"),
        translate(
            "ScasNet",
            "The sizes at which the model looks at the image, with semicolons between them: with "
            '"0.75;1;1.25" it sees it smaller, as it is and larger, and what it finds is averaged. '
            "Often a little more accurate; the time grows with the squares of the scales, here to "
            "about three times. Only for models that take tiles of any size.",
        ),
        advanced=True,
    )
    algorithm.add(
        _static_enum(FLIPS, translate("ScasNet", "Flips"), choices.FLIPS, choices.NONE),
        translate(
            "ScasNet",
            "The model looks at each tile several times, and what it finds is averaged: mirror "
            "adds the tile left to right (twice the time), full takes all flips and quarter turns "
            "(eight times). Often a little more accurate, and borders get smoother. On the command "
            "line by its name, as in FLIPS=mirror.",
        ),
        advanced=True,
    )


def _add_rules(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        _decimal(SIEVE, translate("ScasNet", "Smallest patch"), None),
        translate(
            "ScasNet",
            "Patches of the map that are smaller than this get the class of the larger neighbour "
            "with which they share the longest border. Pixels belong to one patch if they touch "
            "along a side. What has no data is left as it is. 0 keeps all patches.",
        ),
        advanced=True,
    )
    algorithm.add(
        _static_enum(
            SIEVE_UNIT,
            translate("ScasNet", "Unit of the smallest patch"),
            choices.PATCH_UNITS,
            choices.PIXELS,
        ),
        translate(
            "ScasNet",
            "Whether the smallest patch is given in pixels or as an area on the ground; the area "
            "needs an image with a position. On the command line by its name, as in "
            'SIEVE_UNIT="square metres".',
        ),
        advanced=True,
    )
    algorithm.add(
        _decimal(MIN_CONFIDENCE, translate("ScasNet", "Least confidence"), 1.0),
        translate(
            "ScasNet",
            "From 0 to 1: where even the most probable class has a lower score than this, the map "
            "gets no class but 0, as where there is no data. Class probabilities are not changed. "
            "0 gives each pixel a class.",
        ),
        advanced=True,
    )


def _static_enum(
    name: str, label: str, values: tuple[str, ...], default: str
) -> QgsProcessingParameterEnum:
    result = QgsProcessingParameterEnum(name, label, list(values), False, default)
    result.setUsesStaticStrings(True)
    return result


def _decimal(name: str, label: str, maximum: float | None) -> QgsProcessingParameterNumber:
    result = QgsProcessingParameterNumber(
        name, label, QgsProcessingParameterNumber.Type.Double, 0.0
    )
    result.setMinimum(0.0)
    if maximum is not None:
        result.setMaximum(maximum)
    return result


def add_outputs_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare what comes back."""
    texts = (
        (SCALES_USED, translate("ScasNet", "Scales that were averaged")),
        (FLIPS_USED, translate("ScasNet", "Flips that were averaged")),
    )
    for name, label in texts:
        algorithm.addOutput(QgsProcessingOutputString(name, label))
    numbers = (
        (UNCERTAIN_PIXELS, translate("ScasNet", "Pixels without a class, as too uncertain")),
        (SIEVED_PIXELS, translate("ScasNet", "Pixels of small patches that were merged")),
    )
    for name, label in numbers:
        algorithm.addOutput(QgsProcessingOutputNumber(name, label))
