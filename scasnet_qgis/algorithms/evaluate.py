"""``scasnet:evaluate``: how good a map is, by a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsVectorLayer

from scasnet_qgis.algorithms import evaluate_parameters as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, translated
from scasnet_qgis.algorithms.layers import classes_in_legend, layer_file
from scasnet_qgis.algorithms.map_input import MapInput, read_map
from scasnet_qgis.assessment.request import AssessmentRequest
from scasnet_qgis.assessment.run import Reports, evaluate
from scasnet_qgis.core.errors import InputError, ScasNetError
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.raster import sample_design
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.raster.reference import ReferenceSource

CLASSES_SHARE = 0.2  # of the progress, for finding the classes of map and reference


class Evaluate(ScasNetAlgorithm):
    """Compares a map with a raster, polygons or points, window by window."""

    def __init__(self) -> None:
        super().__init__()
        self._map = MapInput()
        self._reference = ReferenceSource("")
        self._legend: tuple[LabelClass, ...] = ()
        self._refusal: ScasNetError | None = None

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

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self._refusal = None
        try:
            self._map = read_map(self, parameters, context)
            self._read_reference(parameters, context, feedback)
        except ScasNetError as error:
            # QGIS shows no sentence of what is raised here: ``compute`` raises it again.
            self._refusal = error
        return True

    def _read_reference(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        layer = self.parameterAsLayer(parameters, names.REFERENCE, context)
        if layer is None:
            text = translate("ScasNet", "The reference cannot be opened: choose another layer.")
            raise InputError(text)
        field = ""
        if isinstance(layer, QgsVectorLayer):
            field = self._field(layer, parameters, context)
        self._legend = tuple(classes_in_legend(layer, field))
        file = layer_file(layer, context, feedback)
        self._reference = ReferenceSource(file.path, file.is_vector, file.layer, field, file.wkt)

    def _field(
        self, layer: QgsVectorLayer, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> str:
        """The field that was chosen, or the one in which a sample is labelled."""
        chosen = self.parameterAsFields(parameters, names.CLASS_FIELD, context)
        if chosen:
            return str(chosen[0])
        there = {each.name() for each in layer.fields()}
        is_sample = there.issuperset((sample_design.REFERENCE, *sample_design.DESIGN_FIELDS))
        return sample_design.REFERENCE if is_sample else ""

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        progress = FeedbackProgress(feedback)
        request = self._request(parameters, context, Stage(progress, 0.0, CLASSES_SHARE))
        files = {
            name: str(self.parameterAsFileOutput(parameters, name, context))
            for name in (names.REPORT, names.CSV, names.JSON)
            if parameters.get(name) not in (None, "")
        }
        paths = {name: Path(file) for name, file in files.items()}
        reports = Reports(paths.get(names.REPORT), paths.get(names.CSV), paths.get(names.JSON))
        result = evaluate(request, reports, Stage(progress, CLASSES_SHARE, 1.0), translated)
        for line in names.result_lines(result):
            feedback.pushInfo(line)
        return {**files, **names.output_values(result)}

    def _request(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> AssessmentRequest:
        classes = self._map.classes(Stage(progress, 0.0, 0.5))
        legend = self._legend
        if not legend and not self._reference.is_vector:
            legend = tuple(classes_of(self._reference.path, progress=Stage(progress, 0.5, 1.0)))
        return AssessmentRequest(
            source=self._map.path,
            classes=classes,
            reference=self._reference,
            reference_classes=legend,
            extent=self._map.extent,
            boundary=self.parameterAsInt(parameters, names.BOUNDARY, context),
            ignored=self.parameterAsString(parameters, names.LEAVE_OUT, context) or "",
            adjusted=self.parameterAsEnumString(parameters, names.AREA_ADJUSTED, context),
            fallback_wkt=self._map.wkt,
        )
