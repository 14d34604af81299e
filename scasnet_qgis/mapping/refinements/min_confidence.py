"""Pixels whose highest score is too low get no class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.options import Number, option
from scasnet_qgis.mapping.refinements.refinement import PixelCount, Refinement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scasnet_qgis.images.grid import Grid
    from scasnet_qgis.tiling.blending import FinishedBlock


@dataclass(frozen=True)
class MinConfidence(Refinement):
    """0 gives each pixel a class. Class probabilities are not changed."""

    min_confidence: float = option(
        0.0,
        "MIN_CONFIDENCE",
        translate("ScasNet", "Minimum confidence (0-1)"),
        translate(
            "ScasNet",
            "Pixels whose most probable class has a lower score than this stay unclassified "
            "(value 0, as where there is no data). Class probabilities are not changed. 0 "
            "classifies every pixel.",
        ),
        Number(0.0, 1.0),
        advanced=True,
        differs=translate("ScasNet", "the minimum confidence differs"),
        stamp=lambda settings: f"{settings.min_confidence:g}",
    )

    counted = PixelCount(
        "UNCERTAIN_PIXELS",
        "uncertain_pixels",
        translate("ScasNet", "Unclassified pixels (below minimum confidence)"),
        unclassified=True,
        summary=translate("ScasNet", "below minimum confidence: {pixels:,} pixels"),
    )
    needs_scores = True

    @property
    def active(self) -> bool:
        return self.min_confidence > 0

    def on(self, grid: Grid) -> MinConfidence:
        return self

    @property
    def sentence(self) -> Message:
        text = translate(
            "ScasNet", "Pixels with a highest score below {score:g} stay unclassified."
        )
        return message(text, score=self.min_confidence)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {}

    def refined(self, block: FinishedBlock) -> NDArray[np.uint8]:
        labels = block.labels().copy()
        labels[block.uncertain(self.min_confidence)] = 0
        return labels
