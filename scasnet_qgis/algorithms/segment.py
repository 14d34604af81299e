"""``scasnet:segment``: a raster and a model in, a styled land-cover map out."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback

from scasnet_qgis.algorithms import segment_parameters as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm
from scasnet_qgis.i18n import translate


class Segment(ScasNetAlgorithm):
    """Applies a segmentation model to a raster, window by window."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: dict[str, Any] = {}

    def name(self) -> str:
        return "segment"

    def displayName(self) -> str:
        return translate("ScasNet", "Map land cover")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Turns an aerial or satellite image into a land-cover map.")

    def shortHelpString(self) -> str:
        return names.help_text()

    def tags(self) -> list[str]:
        words = translate("ScasNet", "land cover,classification,segmentation,deep learning,onnx")
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        names.add_to(self)

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        from scasnet_qgis.algorithms.segment_request import looks_of, model_of
        from scasnet_qgis.algorithms.value_parameters import value_range_of

        model_of(self, parameters, context)
        looks_of(self, parameters, context)
        value_range_of(self, parameters, context)

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.algorithms.segment_request import layers_of

        self._layers = layers_of(self, parameters, context, feedback)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.algorithms.card_texts import card_text
        from scasnet_qgis.algorithms.rendered_input import WaitingProgress
        from scasnet_qgis.algorithms.segment_request import output_values, request_of, result_lines
        from scasnet_qgis.mapping import make_map
        from scasnet_qgis.styling import LayerStyler, write_qml

        # QGIS knows the layers to load by the text of their path, however it is spelled.
        output = self.parameterAsOutputLayer(parameters, names.OUTPUT, context)
        files = {names.OUTPUT: output}
        if parameters.get(names.PROBABILITIES) not in (None, ""):
            second = self.parameterAsOutputLayer(parameters, names.PROBABILITIES, context)
            files.update({names.PROBABILITIES: second} if second else {})
        request = request_of(self, parameters, context, self._layers, files)
        feedback.pushInfo(card_text(request.model))
        progress = WaitingProgress(feedback) if request.layer else FeedbackProgress(feedback)
        result = make_map(request, progress, write_qml)
        if context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.setPostProcessor(LayerStyler.of(request.model.card.classes))
        for line in result_lines(request, result):
            feedback.pushInfo(line)
        return {**files, **output_values(request, result)}
