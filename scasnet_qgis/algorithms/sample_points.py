"""``scasnet:samplepoints``: a stratified random sample of a map, for a person to label."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterVectorDestination,
)

from scasnet_qgis.accuracy.options import SampleOptions
from scasnet_qgis.common.progress import Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import FeedbackProgress, ScasNetAlgorithm
from scasnet_qgis.qgis_ui.processing.parameters import (
    declare,
    extent_parameter,
    map_parameter,
    read,
)

if TYPE_CHECKING:
    from scasnet_qgis.accuracy.sample import SampleResult
    from scasnet_qgis.qgis_ui.layers.raster_inputs import MapInput

OUTPUT = "OUTPUT"
POINTS, STRATA, AREA_UNIT = "POINTS", "STRATA", "AREA_UNIT"
CLASSES_SHARE = 0.1  # of the progress, for finding the classes of the map


class SamplePoints(ScasNetAlgorithm):
    """Draws points at random within each class of a map."""

    _map: MapInput

    def name(self) -> str:
        return "samplepoints"

    def displayName(self) -> str:
        return translate("ScasNet", "Draw sample points")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Draws a random sample of a map, for a person to label.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Draws a stratified random sample: points at random within each class of a land-cover "
            "map. Then look at each point in an image and enter the true class in the field "
            "reference; its form offers the classes. From the labelled points, Evaluate a map "
            "gives the accuracy of the whole map and the area of each class, with confidence "
            "intervals.\n\nThe points are in random order, and the mapped class is hidden, so "
            "that it does not bias you: label the points without the map. The other fields "
            "describe how the sample was drawn; leave them as they are. Do not move or add points; "
            "points that cannot be labelled may stay empty.",
        )

    def keywords(self) -> str:
        return translate("ScasNet", "stratified random sample,validation,accuracy,area estimate")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(
            map_parameter(),
            translate(
                "ScasNet",
                "The land-cover map to sample: a raster with one value for each class, of any "
                "size.",
            ),
        )
        self.add(
            extent_parameter(),
            translate("ScasNet", "The part of the map to sample. Leave it empty for all of it."),
        )
        declare(self, SampleOptions)
        self.add(
            QgsProcessingParameterVectorDestination(
                OUTPUT, translate("ScasNet", "Sample"), QgsProcessing.SourceType.TypeVectorPoint
            ),
            translate(
                "ScasNet",
                "The points. A GeoPackage also contains the labelling form; a shapefile or GeoJSON "
                "file does not. A file with labelled points is never overwritten.",
            ),
        )
        self.addOutput(QgsProcessingOutputNumber(POINTS, translate("ScasNet", "Points drawn")))
        strata = translate("ScasNet", "Pixels, area and points of each class (JSON)")
        self.addOutput(QgsProcessingOutputString(STRATA, strata))
        unit = translate("ScasNet", "Area unit")
        self.addOutput(QgsProcessingOutputString(AREA_UNIT, unit))

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.qgis_ui.layers.raster_inputs import read_map

        self._map = read_map(self, parameters, context)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.accuracy.sample import SampleRequest, draw_sample
        from scasnet_qgis.qgis_ui.layers.styles import StyleOnLoad, style_sample, write_style

        progress = FeedbackProgress(feedback)
        # QGIS knows the layers to load by the text of their path, however it is spelled.
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        request = SampleRequest(
            source=self._map.path,
            classes=self._map.classes(Stage(progress, 0.0, CLASSES_SHARE)),
            output=Path(output),
            options=read(self, parameters, context, SampleOptions),
            extent=self._map.extent,
            fallback_wkt=self._map.wkt,
        )
        result = draw_sample(request, Stage(progress, CLASSES_SHARE, 1.0), write_style)
        if context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.setPostProcessor(StyleOnLoad.of(style_sample, result.strata))
        for line in _lines(result):
            feedback.pushInfo(line)
        strata = json.dumps([asdict(stratum) for stratum in result.strata], ensure_ascii=False)
        values = {POINTS: result.points, STRATA: strata, AREA_UNIT: result.area_unit}
        return {OUTPUT: output, **values}


def _lines(result: SampleResult) -> list[str]:
    """The outcome for the log."""
    text = translate("ScasNet", "{name}: {points} points of {pixels:,} pixels")
    lines = [
        text.format(name=stratum.name, points=stratum.points, pixels=stratum.pixels)
        for stratum in result.strata
        if stratum.pixels
    ]
    if result.nodata_pixels:
        text = translate("ScasNet", "No class: {pixels:,} pixels, not sampled")
        lines.append(text.format(pixels=result.nodata_pixels))
    return lines
