"""The parameter of ``scasnet:segment`` that says which values of the image are black and white."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingParameterString

from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm
    from scasnet_qgis.core.value_range import ValueRange

VALUE_RANGE = "VALUE_RANGE"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare the parameter."""
    label = translate("ScasNet", "Range of values")
    algorithm.add(
        QgsProcessingParameterString(VALUE_RANGE, label, None, False, True),
        translate(
            "ScasNet",
            "The values of the image that the model is to see as black and as white, the same for "
            'the whole image: "0;2047" for all bands, such a pair for each band of the model as in '
            '"0;2047;0;2047;0;1800", or percentiles over the whole image as in "2%;98%". Leave it '
            "empty to find it by the model and the image; the log says how.",
        ),
        advanced=True,
    )


def value_range_of(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> ValueRange | None:
    """What is given, None where nothing is; raises SettingError."""
    from scasnet_qgis.core.value_range import parse_value_range

    return parse_value_range(algorithm.parameterAsString(parameters, VALUE_RANGE, context))
