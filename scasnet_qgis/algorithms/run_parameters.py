"""The parameter of ``scasnet:segment`` that says how a run treats an interrupted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsProcessingParameterBoolean

from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

RESUME = "RESUME"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare the parameter."""
    label = translate("ScasNet", "Go on with an interrupted run")
    algorithm.add(
        QgsProcessingParameterBoolean(RESUME, label, True),
        translate(
            "ScasNet",
            "A run that was cancelled or failed keeps its finished rows of tiles in a hidden "
            "folder beside the map, if they took more than 20 seconds; one that was killed keeps "
            "all of them. The same command goes on from there, if image, model and settings are "
            "the same, and the map is the same as without the interruption. Without this tick it "
            "starts from the beginning. An output that is a temporary file has another name each "
            "time, so give it one.",
        ),
        advanced=True,
    )
