"""``scasnet:evaluate``: how good a map is, by a reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)

from scasnet_qgis.accuracy.options import EvaluationOptions
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import FeedbackProgress, ScasNetAlgorithm, translated
from scasnet_qgis.qgis_ui.processing.parameters import (
    class_field_parameter,
    declare,
    extent_parameter,
    map_parameter,
    read,
    reference_parameter,
)

if TYPE_CHECKING:
    from scasnet_qgis.accuracy.request import Assessment, AssessmentRequest
    from scasnet_qgis.qgis_ui.layers.raster_inputs import MapInput, ReferenceInput

REPORT, CSV, JSON = "REPORT", "CSV", "JSON"
OVERALL_ACCURACY, KAPPA = "OVERALL_ACCURACY", "KAPPA"
MEAN_IOU, MEAN_F1 = "MEAN_IOU", "MEAN_F1"
MEAN_PRECISION, MEAN_RECALL = "MEAN_PRECISION", "MEAN_RECALL"
PIXELS, SAMPLES = "PIXELS", "SAMPLES"
CLASS_ACCURACY, CONFUSION, LEFT_OUT = "CLASS_ACCURACY", "CONFUSION", "LEFT_OUT"
AREA_ADJUSTED_FIGURES = "AREA_ADJUSTED_FIGURES"
CLASSES_SHARE = 0.2  # of the progress, for finding the classes of map and reference


class Evaluate(ScasNetAlgorithm):
    """Compares a map with a raster, polygons or points, window by window."""

    _map: MapInput
    _reference: ReferenceInput

    def name(self) -> str:
        return "evaluate"

    def displayName(self) -> str:
        return translate("ScasNet", "Evaluate a map")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Compares a land-cover map with a reference.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Measures the accuracy of a land-cover map: overall accuracy, Cohen's kappa, and for "
            "each class precision (user's accuracy), recall (producer's accuracy), F1 score and "
            "intersection over union (IoU), with the confusion matrix they come from.\n\nThe "
            "reference may be a raster, polygons or points. Pixels of the map without a class and "
            "areas without a reference are not compared; the report gives their number.\n\nOnly a "
            "random sample gives the accuracy of the whole map: draw one with Draw sample points, "
            "label the points, and use them as the reference. The accuracy is then adjusted to the "
            "areas of the classes, and the area of each class is estimated, with confidence "
            "intervals (Olofsson et al. 2014).",
        )

    def keywords(self) -> str:
        return translate(
            "ScasNet", "accuracy,confusion matrix,kappa,IoU,validation,land cover,area estimate"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_inputs()
        declare(self, EvaluationOptions)
        self._add_files()
        self._add_outputs()

    def _add_inputs(self) -> None:
        self.add(
            map_parameter(),
            translate(
                "ScasNet",
                "The land-cover map to evaluate: a raster with one value for each class, of any "
                "size.",
            ),
        )
        self.add(
            reference_parameter(points=True),
            translate(
                "ScasNet",
                "The true classes: a class raster, polygons or points, in any coordinate reference "
                "system. Classes are matched by name, or by value where one side has no names.",
            ),
        )
        self.add(
            class_field_parameter(),
            translate(
                "ScasNet",
                "Field with the class of a polygon or point. Leave it empty for rasters, "
                "and for a sample drawn with Draw sample points (its field is reference).",
            ),
        )
        self.add(
            extent_parameter(),
            translate("ScasNet", "The part of the map to evaluate. Leave it empty for all of it."),
        )

    def _add_files(self) -> None:
        self.add_file(
            REPORT,
            translate("ScasNet", "Report"),
            translate("ScasNet", "HTML files (*.html)"),
            translate("ScasNet", "A web page with all results, to read or print."),
            by_default=True,
        )
        self.add_file(
            CSV,
            translate("ScasNet", "Results (CSV)"),
            translate("ScasNet", "CSV files (*.csv)"),
            translate("ScasNet", "The confusion matrix and the results for a spreadsheet."),
        )
        self.add_file(
            JSON,
            translate("ScasNet", "Results (JSON)"),
            translate("ScasNet", "JSON files (*.json)"),
            translate("ScasNet", "All results in a file for other programs."),
        )

    def _add_outputs(self) -> None:
        numbers = {
            OVERALL_ACCURACY: translate("ScasNet", "Overall accuracy"),
            KAPPA: translate("ScasNet", "Cohen's kappa"),
            MEAN_IOU: translate("ScasNet", "Mean IoU"),
            MEAN_F1: translate("ScasNet", "Mean F1 score"),
            MEAN_PRECISION: translate("ScasNet", "Mean precision"),
            MEAN_RECALL: translate("ScasNet", "Mean recall"),
            PIXELS: translate("ScasNet", "Pixels compared"),
            SAMPLES: translate("ScasNet", "Points compared"),
        }
        self.add_outputs(QgsProcessingOutputNumber, numbers)
        texts = {
            CLASS_ACCURACY: translate("ScasNet", "Accuracy of each class (JSON)"),
            CONFUSION: translate("ScasNet", "Confusion matrix, one row per reference class (JSON)"),
            LEFT_OUT: translate("ScasNet", "What was not compared (JSON)"),
            AREA_ADJUSTED_FIGURES: translate("ScasNet", "Area-adjusted results (JSON)"),
        }
        self.add_outputs(QgsProcessingOutputString, texts)

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.qgis_ui.layers.raster_inputs import read_map, read_reference

        self._map = read_map(self, parameters, context)
        self._reference = read_reference(self, parameters, context, feedback)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.accuracy.run import Reports, evaluate

        progress = FeedbackProgress(feedback)
        options = read(self, parameters, context, EvaluationOptions)
        request = self._request(options, Stage(progress, 0.0, CLASSES_SHARE))
        files = self.files_of(parameters, context, REPORT, CSV, JSON)
        paths = {name: Path(file) for name, file in files.items()}
        reports = Reports(paths.get(REPORT), paths.get(CSV), paths.get(JSON))
        result = evaluate(request, reports, Stage(progress, CLASSES_SHARE, 1.0), translated)
        for line in result_lines(result):
            feedback.pushInfo(line)
        return {**files, **output_values(result)}

    def _request(self, options: EvaluationOptions, progress: Progress) -> AssessmentRequest:
        """What to compare with what; finding the classes may mean to read the layers."""
        from scasnet_qgis.accuracy.request import AssessmentRequest, ReferenceSource
        from scasnet_qgis.labels.labels import classes_of

        file, legend = self._reference.file, self._reference.legend
        classes = self._map.classes(Stage(progress, 0.0, 0.5))
        if not legend and not file.is_vector:
            legend = tuple(classes_of(file.path, progress=Stage(progress, 0.5, 1.0)))
        field = self._reference.field
        return AssessmentRequest(
            source=self._map.path,
            classes=classes,
            reference=ReferenceSource(file.path, file.is_vector, file.layer, field, file.wkt),
            reference_classes=legend,
            options=options,
            extent=self._map.extent,
            fallback_wkt=self._map.wkt,
        )


def output_values(result: Assessment) -> dict[str, Any]:
    """The values of all outputs but the files; None for what is not defined."""
    from scasnet_qgis.accuracy.report import (
        adjusted_facts,
        class_facts,
        finite_or_none,
        left_out_facts,
    )

    matrix = result.matrix
    return {
        OVERALL_ACCURACY: finite_or_none(matrix.overall_accuracy),
        KAPPA: finite_or_none(matrix.kappa),
        MEAN_IOU: finite_or_none(matrix.mean_iou),
        MEAN_F1: finite_or_none(matrix.mean_f1),
        MEAN_PRECISION: finite_or_none(matrix.mean_precision),
        MEAN_RECALL: finite_or_none(matrix.mean_recall),
        PIXELS: 0 if result.points else matrix.total,
        SAMPLES: matrix.total if result.points else 0,
        CLASS_ACCURACY: json.dumps(class_facts(result), ensure_ascii=False),
        CONFUSION: json.dumps(matrix.counts.tolist()),
        LEFT_OUT: json.dumps(left_out_facts(result), ensure_ascii=False),
        AREA_ADJUSTED_FIGURES: json.dumps(adjusted_facts(result), ensure_ascii=False),
    }


def result_lines(result: Assessment) -> list[str]:
    """The outcome for the log: the whole, then a line a class."""
    matrix = result.matrix
    text = translate(
        "ScasNet",
        "Overall accuracy {oa:.3f}, kappa {kappa:.3f}, mean IoU {iou:.3f}, mean F1 {f1:.3f}, from "
        "{count:,} pixels or points",
    )
    lines = [
        text.format(
            oa=matrix.overall_accuracy,
            kappa=matrix.kappa,
            iou=matrix.mean_iou,
            f1=matrix.mean_f1,
            count=matrix.total,
        )
    ]
    text = translate(
        "ScasNet", "{name}: precision {precision:.3f}, recall {recall:.3f}, IoU {iou:.3f}"
    )
    measures = zip(matrix.precision, matrix.recall, matrix.iou)
    for label_class, values in zip(result.classes, measures):
        precision, recall, iou = map(float, values)
        name = label_class.name
        lines.append(text.format(name=name, precision=precision, recall=recall, iou=iou))
    if result.adjusted is not None:
        overall = result.adjusted.figures.overall
        text = translate(
            "ScasNet",
            "Overall accuracy of the whole map, area-adjusted: {oa:.3f} ± {half:.3f} (95 %)",
        )
        lines.append(text.format(oa=overall.value, half=overall.half_width))
    return lines
