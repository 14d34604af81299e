"""``scasnet:evaluate``: how good a map is, by a reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback

from scasnet_qgis.algorithms import evaluate_parameters as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, translated
from scasnet_qgis.core.progress import Stage
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.map_input import MapInput
    from scasnet_qgis.algorithms.reference_input import ReferenceInput

CLASSES_SHARE = 0.2  # of the progress, for finding the classes of map and reference


class Evaluate(ScasNetAlgorithm):
    """Compares a map with a raster, polygons or points, window by window."""

    _layers: tuple[MapInput, ReferenceInput]

    def name(self) -> str:
        return "evaluate"

    def displayName(self) -> str:
        return translate("ScasNet", "Evaluate a map")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Compares a land-cover map with a reference.")

    def shortHelpString(self) -> str:
        return names.help_text()

    def tags(self) -> list[str]:
        words = translate(
            "ScasNet", "accuracy,confusion matrix,kappa,IoU,validation,land cover,area estimate"
        )
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        names.add_to(self)

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.algorithms.map_input import read_map
        from scasnet_qgis.algorithms.reference_input import read_reference

        judged = read_map(self, parameters, context)
        self._layers = (judged, read_reference(self, parameters, context, feedback))

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.algorithms.evaluate_request import output_values, request_of, result_lines
        from scasnet_qgis.assessment.run import Reports, evaluate

        progress = FeedbackProgress(feedback)
        first, rest = Stage(progress, 0.0, CLASSES_SHARE), Stage(progress, CLASSES_SHARE, 1.0)
        request = request_of(self, parameters, context, self._layers, first)
        files = {
            name: str(self.parameterAsFileOutput(parameters, name, context))
            for name in (names.REPORT, names.CSV, names.JSON)
            if parameters.get(name) not in (None, "")
        }
        paths = {name: Path(file) for name, file in files.items()}
        reports = Reports(paths.get(names.REPORT), paths.get(names.CSV), paths.get(names.JSON))
        result = evaluate(request, reports, rest, translated)
        for line in result_lines(result):
            feedback.pushInfo(line)
        return {**files, **output_values(result)}
