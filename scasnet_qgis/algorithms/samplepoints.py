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
    QgsProcessingParameterNumber,
    QgsProcessingParameterVectorDestination,
)

from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm
from scasnet_qgis.algorithms.input_parameters import extent_parameter, map_parameter
from scasnet_qgis.core.choices import FEW_POINTS, MOST_POINTS
from scasnet_qgis.core.progress import Stage
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.map_input import MapInput
    from scasnet_qgis.assessment.sample import SampleResult

SAMPLES, MIN_PER_CLASS, SEED, OUTPUT = "SAMPLES", "MIN_PER_CLASS", "SEED", "OUTPUT"
TARGET_ERROR, EXPECTED_ACCURACY = "TARGET_ERROR", "EXPECTED_ACCURACY"
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
            "Draws points at random within each class of a land-cover map. Somebody then looks at "
            "each point in an image and writes the true class into the field reference; its form "
            "offers the classes. From the labelled points, Evaluate a map tells the accuracy of "
            "the whole map and the area of each class, with confidence intervals.\n\nThe points "
            "are in random order, and the class of the map is hidden, so that nobody is led by it: "
            "label the points without the map. The other fields tell how the sample was drawn; "
            "leave them as they are. Do not move or add points; those that nobody can label may "
            "stay empty.",
        )

    def tags(self) -> list[str]:
        words = translate("ScasNet", "stratified random sample,validation,accuracy,area estimate")
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(
            map_parameter(),
            translate(
                "ScasNet",
                "The land-cover map to draw from: a raster with one number for each class. Any "
                "size: it is read in windows.",
            ),
        )
        self.add(
            extent_parameter(),
            translate("ScasNet", "The part of the map to draw from. Leave it empty for all of it."),
        )
        self._add_sizes()
        self.add(
            QgsProcessingParameterVectorDestination(
                OUTPUT,
                translate("ScasNet", "Sample"),
                QgsProcessing.SourceType.TypeVectorPoint,
            ),
            translate(
                "ScasNet",
                "The points. A GeoPackage also holds the form for labelling; a shapefile or "
                "GeoJSON file does not. A file with labelled points is not overwritten.",
            ),
        )
        self.addOutput(QgsProcessingOutputNumber(POINTS, translate("ScasNet", "Points drawn")))
        strata = translate("ScasNet", "Pixels, area and points of each class (JSON)")
        self.addOutput(QgsProcessingOutputString(STRATA, strata))
        unit = translate("ScasNet", "Unit of the areas")
        self.addOutput(QgsProcessingOutputString(AREA_UNIT, unit))

    def _add_sizes(self) -> None:
        whole = QgsProcessingParameterNumber.Type.Integer
        real = QgsProcessingParameterNumber.Type.Double
        number = QgsProcessingParameterNumber
        label = translate("ScasNet", "Points")
        self.add(
            number(SAMPLES, label, whole, 500, False, FEW_POINTS, MOST_POINTS),
            translate(
                "ScasNet",
                "How many points to draw in all. They are shared out by the area of the classes.",
            ),
        )
        label = translate("ScasNet", "Points in each class at least")
        self.add(
            number(MIN_PER_CLASS, label, whole, 50, False, FEW_POINTS, MOST_POINTS),
            translate(
                "ScasNet",
                "Small classes get this many, so that something can be said about them as well; 50 "
                "to 100 is usual.",
            ),
        )
        label = translate("ScasNet", "Seed")
        self.add(
            number(SEED, label, whole, 1, False, 0, 2**31 - 1),
            translate("ScasNet", "The same seed draws the same points from the same map again."),
        )
        label = translate("ScasNet", "Standard error wanted")
        self.add(
            number(TARGET_ERROR, label, real, None, True, 0.0005, 0.5),
            translate(
                "ScasNet",
                "If given, as in 0.01, the number of points follows from it: so many that the "
                "overall accuracy gets this standard error.",
            ),
            advanced=True,
        )
        label = translate("ScasNet", "Accuracy expected")
        self.add(
            number(EXPECTED_ACCURACY, label, real, 0.8, False, 0.01, 0.99),
            translate(
                "ScasNet",
                "How much of the map is probably right, from 0 to 1; used only with a standard "
                "error.",
            ),
            advanced=True,
        )

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.algorithms.map_input import read_map

        self._map = read_map(self, parameters, context)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.algorithms.sample_style import SampleStyler, write_style
        from scasnet_qgis.assessment.sample import SampleRequest, draw_sample

        progress = FeedbackProgress(feedback)
        # QGIS knows the layers to load by the text of their path, however it is spelled.
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        target_error = None
        if parameters.get(TARGET_ERROR) not in (None, ""):
            target_error = self.parameterAsDouble(parameters, TARGET_ERROR, context)
        request = SampleRequest(
            source=self._map.path,
            classes=self._map.classes(Stage(progress, 0.0, CLASSES_SHARE)),
            output=Path(output),
            extent=self._map.extent,
            points=self.parameterAsInt(parameters, SAMPLES, context),
            min_per_class=self.parameterAsInt(parameters, MIN_PER_CLASS, context),
            seed=self.parameterAsInt(parameters, SEED, context),
            target_error=target_error,
            expected_accuracy=self.parameterAsDouble(parameters, EXPECTED_ACCURACY, context),
            fallback_wkt=self._map.wkt,
        )
        result = draw_sample(request, Stage(progress, CLASSES_SHARE, 1.0), write_style)
        if context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.setPostProcessor(SampleStyler.of(result.strata))
        for line in _lines(result):
            feedback.pushInfo(line)
        strata = json.dumps([asdict(each) for each in result.strata], ensure_ascii=False)
        values = {POINTS: result.points, STRATA: strata, AREA_UNIT: result.area_unit}
        return {OUTPUT: output, **values}


def _lines(result: SampleResult) -> list[str]:
    """The outcome for the log."""
    text = translate("ScasNet", "{name}: {points} points of {pixels:,} pixels")
    lines = [
        text.format(name=each.name, points=each.points, pixels=each.pixels)
        for each in result.strata
        if each.pixels
    ]
    if result.nodata_pixels:
        text = translate("ScasNet", "without a class: {pixels:,} pixels, which are not sampled")
        lines.append(text.format(pixels=result.nodata_pixels))
    return lines
