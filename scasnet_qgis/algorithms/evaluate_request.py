"""The parameters of ``scasnet:evaluate`` as what is to be compared, and what came of it."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext

from scasnet_qgis.algorithms import evaluate_parameters as names
from scasnet_qgis.algorithms.map_input import MapInput
from scasnet_qgis.algorithms.reference_input import ReferenceInput
from scasnet_qgis.assessment.report import (
    adjusted_facts,
    class_facts,
    finite_or_none,
    left_out_facts,
)
from scasnet_qgis.assessment.request import Assessment, AssessmentRequest
from scasnet_qgis.core.progress import Progress, Stage
from scasnet_qgis.i18n import translate
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.raster.reference import ReferenceSource


def request_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    layers: tuple[MapInput, ReferenceInput],
    progress: Progress,
) -> AssessmentRequest:
    """What to compare with what; finding the classes may mean to read ``layers``."""
    judged, reference = layers
    file, legend = reference.file, reference.legend
    classes = judged.classes(Stage(progress, 0.0, 0.5))
    if not legend and not file.is_vector:
        legend = tuple(classes_of(file.path, progress=Stage(progress, 0.5, 1.0)))
    return AssessmentRequest(
        source=judged.path,
        classes=classes,
        reference=ReferenceSource(file.path, file.is_vector, file.layer, reference.field, file.wkt),
        reference_classes=legend,
        extent=judged.extent,
        boundary=algorithm.parameterAsInt(parameters, names.BOUNDARY, context),
        ignored=algorithm.parameterAsString(parameters, names.LEAVE_OUT, context) or "",
        adjusted=algorithm.parameterAsEnumString(parameters, names.AREA_ADJUSTED, context),
        fallback_wkt=judged.wkt,
    )


def output_values(result: Assessment) -> dict[str, Any]:
    """The values of all outputs but the files; None for what is not defined."""
    matrix = result.matrix
    return {
        names.OVERALL_ACCURACY: finite_or_none(matrix.overall_accuracy),
        names.KAPPA: finite_or_none(matrix.kappa),
        names.MEAN_IOU: finite_or_none(matrix.mean_iou),
        names.MEAN_F1: finite_or_none(matrix.mean_f1),
        names.MEAN_PRECISION: finite_or_none(matrix.mean_precision),
        names.MEAN_RECALL: finite_or_none(matrix.mean_recall),
        names.PIXELS: 0 if result.points else matrix.total,
        names.SAMPLES: matrix.total if result.points else 0,
        names.CLASS_ACCURACY: json.dumps(class_facts(result), ensure_ascii=False),
        names.CONFUSION: json.dumps(matrix.counts.tolist()),
        names.LEFT_OUT: json.dumps(left_out_facts(result), ensure_ascii=False),
        names.AREA_ADJUSTED_FIGURES: json.dumps(adjusted_facts(result), ensure_ascii=False),
    }


def result_lines(result: Assessment) -> list[str]:
    """The outcome for the log: the figures, then a line a class."""
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
    for index, each in enumerate(result.classes):
        text = translate(
            "ScasNet", "{name}: precision {precision:.3f}, recall {recall:.3f}, IoU {iou:.3f}"
        )
        values = (matrix.precision[index], matrix.recall[index], matrix.iou[index])
        precision, recall, iou = map(float, values)
        lines.append(text.format(name=each.name, precision=precision, recall=recall, iou=iou))
    sample = result.adjusted
    if sample is not None:
        overall = sample.figures.overall
        text = translate(
            "ScasNet",
            "Overall accuracy of the whole map, area-adjusted: {oa:.3f} ± {half:.3f} (95 %)",
        )
        lines.append(text.format(oa=overall.value, half=overall.half_width))
    return lines
