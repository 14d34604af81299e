"""The parameters of ``scasnet:segment`` for layers that are no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsProcessingParameterNumber

from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

PIXEL_SIZE, MAX_REQUESTS = "PIXEL_SIZE", "MAX_REQUESTS"
DEFAULT_MAX_REQUESTS = 2000


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare the parameters."""
    kind = QgsProcessingParameterNumber.Type
    label = translate("ScasNet", "Pixel size of layers without a file (metres)")
    algorithm.add(
        QgsProcessingParameterNumber(PIXEL_SIZE, label, kind.Double, None, True, 0.0, 10000.0),
        translate(
            "ScasNet",
            "The ground resolution at which a web layer is rendered; files keep their own. Where "
            "the service has pixels within a tenth of it, those are taken as they are. Leave it "
            "empty for what the model was trained at.",
        ),
        advanced=True,
    )
    label = translate("ScasNet", "Most requests to a service")
    algorithm.add(
        QgsProcessingParameterNumber(
            MAX_REQUESTS, label, kind.Integer, DEFAULT_MAX_REQUESTS, False, 1, 10_000_000
        ),
        translate(
            "ScasNet",
            "A web layer that would need more requests than this, tiles for instance, is refused "
            "before any is sent. Many services limit by their terms of use what may be fetched, "
            "or forbid to work with it: read them before you allow more.",
        ),
        advanced=True,
    )
