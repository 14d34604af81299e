"""``scasnet:segment``: a raster and a model in, a styled land-cover map out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
)

from scasnet_qgis import dependencies, paths
from scasnet_qgis.algorithms import refinement_parameters as refinements
from scasnet_qgis.algorithms import segment_parameters as names
from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm, sentence_of
from scasnet_qgis.algorithms.card_texts import card_text
from scasnet_qgis.core.errors import InputError, ScasNetError, SettingError
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping import MapRequest, make_map
from scasnet_qgis.models.onnx_file import ModelInfo, inspect
from scasnet_qgis.styling import LayerStyler, write_qml


class Segment(ScasNetAlgorithm):
    """Applies a segmentation model to a raster, window by window."""

    def __init__(self) -> None:
        super().__init__()
        self._source = ""
        self._fallback_wkt = ""
        self._extent: tuple[float, float, float, float] | None = None
        self._refusal: ScasNetError | None = None

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

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        fine, message = super().checkParameterValues(parameters, context)
        if not fine:
            return fine, message
        dependencies.extend_path()
        try:
            self._model(parameters, context)
            refinements.looks_of(self, parameters, context)
        except ScasNetError as error:
            return False, sentence_of(error)
        return True, ""

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self._refusal = None
        try:
            self._read_layer(parameters, context)
        except ScasNetError as error:
            # QGIS shows no sentence of what is raised here: ``compute`` raises it again.
            self._refusal = error
        return True

    def _read_layer(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        layer = self.parameterAsRasterLayer(parameters, names.INPUT, context)
        if layer is None or layer.providerType() != "gdal":
            text = translate(
                "ScasNet", "The input must be a raster file: save the layer as a file first."
            )
            raise InputError(text)
        self._source = layer.source().split("|option:")[0]
        self._fallback_wkt = layer.crs().toWkt() if layer.crs().isValid() else ""
        self._extent = None
        if parameters.get(names.EXTENT) not in (None, ""):
            box = self.parameterAsExtent(parameters, names.EXTENT, context, layer.crs())
            if box.isNull():
                text = translate("ScasNet", "The extent is empty: choose another one or none.")
                raise SettingError(text)
            self._extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        model = self._model(parameters, context)
        feedback.pushInfo(card_text(model))
        # QGIS knows the layers to load by the text of their path, however it is spelled.
        output = self.parameterAsOutputLayer(parameters, names.OUTPUT, context)
        probabilities = self._optional_output(names.PROBABILITIES, parameters, context)
        request = self._request(model, Path(output), parameters, context)
        if probabilities:
            request = replace(request, probabilities=Path(probabilities))
        result = make_map(request, FeedbackProgress(feedback), write_qml)
        if context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.setPostProcessor(LayerStyler.of(model.card.classes))
        for line in names.result_lines(result):
            feedback.pushInfo(line)
        outputs = {names.OUTPUT: output, **names.output_values(request, result)}
        return {**outputs, names.PROBABILITIES: probabilities} if probabilities else outputs

    def _model(self, parameters: dict[str, Any], context: QgsProcessingContext) -> ModelInfo:
        chosen = self.parameterAsFile(parameters, names.MODEL, context)
        return inspect(Path(chosen) if chosen else paths.default_model())

    def _optional_output(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> str:
        if parameters.get(name) in (None, ""):
            return ""
        return str(self.parameterAsOutputLayer(parameters, name, context) or "")

    def _request(
        self,
        model: ModelInfo,
        output: Path,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> MapRequest:
        return MapRequest(
            source=self._source,
            model=model,
            output=output,
            bands=tuple(self.parameterAsInts(parameters, names.BANDS, context)),
            extent=self._extent,
            device=self.parameterAsEnumString(parameters, names.DEVICE, context),
            tile_size=self._optional_int(names.TILE_SIZE, parameters, context),
            overlap=self._optional_int(names.OVERLAP, parameters, context),
            batch=self.parameterAsInt(parameters, names.BATCH_SIZE, context),
            threads=self.parameterAsInt(parameters, names.THREADS, context),
            fallback_wkt=self._fallback_wkt,
            **refinements.request_values(self, parameters, context),
        )

    def _optional_int(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> int | None:
        if parameters.get(name) in (None, ""):
            return None
        return int(self.parameterAsInt(parameters, name, context))
