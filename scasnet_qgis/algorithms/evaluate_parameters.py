"""The parameters and outputs of ``scasnet:evaluate``, with the help beside each of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from scasnet_qgis.algorithms.map_input import extent_parameter, map_parameter
from scasnet_qgis.assessment.request import ADJUSTED, MOST_BOUNDARY, Assessment
from scasnet_qgis.assessment.tables import adjusted_facts, class_facts, number
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

REFERENCE, CLASS_FIELD = "REFERENCE", "CLASS_FIELD"
BOUNDARY, LEAVE_OUT, AREA_ADJUSTED = "BOUNDARY", "LEAVE_OUT", "AREA_ADJUSTED"
REPORT, CSV, JSON = "REPORT", "CSV", "JSON"
OVERALL_ACCURACY, KAPPA = "OVERALL_ACCURACY", "KAPPA"
MEAN_IOU, MEAN_F1 = "MEAN_IOU", "MEAN_F1"
MEAN_PRECISION, MEAN_RECALL = "MEAN_PRECISION", "MEAN_RECALL"
PIXELS, SAMPLES = "PIXELS", "SAMPLES"
CLASS_ACCURACY, CONFUSION, LEFT_OUT = "CLASS_ACCURACY", "CONFUSION", "LEFT_OUT"
AREA_ADJUSTED_FIGURES = "AREA_ADJUSTED_FIGURES"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare every parameter and output."""
    _add_inputs(algorithm)
    _add_rules(algorithm)
    _add_files(algorithm)
    _add_outputs(algorithm)


def _add_inputs(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        map_parameter(),
        translate(
            "ScasNet",
            "The land-cover map to judge: a raster with one number for each class. Any size: it is "
            "read in windows.",
        ),
    )
    source = QgsProcessing.SourceType
    algorithm.add(
        QgsProcessingParameterMapLayer(
            REFERENCE,
            translate("ScasNet", "Reference"),
            None,
            False,
            [source.TypeRaster, source.TypeVectorPolygon, source.TypeVectorPoint],
        ),
        translate(
            "ScasNet",
            "What is really there: a raster of class values, polygons or points. It is laid over "
            "the map by its place, whatever its coordinate reference system. Classes are matched "
            "by their names, or by their values where one side has no names.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterField(
            CLASS_FIELD,
            translate("ScasNet", "Field with the class"),
            None,
            REFERENCE,
            QgsProcessingParameterField.DataType.Any,
            False,
            True,
        ),
        translate(
            "ScasNet",
            "The field of the polygons or points that holds the class. A sample drawn with Draw "
            "sample points needs none; its field is reference. Rasters need none either.",
        ),
    )
    algorithm.add(
        extent_parameter(),
        translate("ScasNet", "The part of the map to judge. Leave it empty to judge all of it."),
    )


def _add_rules(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterNumber(
            BOUNDARY,
            translate("ScasNet", "Leave out along boundaries (pixels)"),
            QgsProcessingParameterNumber.Type.Integer,
            0,
            False,
            0,
            MOST_BOUNDARY,
        ),
        translate(
            "ScasNet",
            "Pixels so close to another class of the reference are not counted, because nobody "
            "knows a boundary exactly: 3 is the rule of the ISPRS benchmark, 0 counts all pixels. "
            "Boundaries to places without a class are none.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterString(
            LEAVE_OUT, translate("ScasNet", "Classes to leave out"), None, False, True
        ),
        translate(
            "ScasNet",
            "Names or values of classes of the reference that are not compared, apart by "
            "semicolons: clutter, or what the map does not know.",
        ),
        advanced=True,
    )
    adjusted = QgsProcessingParameterEnum(
        AREA_ADJUSTED,
        translate("ScasNet", "Area-adjusted accuracy and areas"),
        list(ADJUSTED),
        False,
        ADJUSTED[0],
    )
    adjusted.setUsesStaticStrings(True)
    algorithm.add(
        adjusted,
        translate(
            "ScasNet",
            "From a sample drawn with Draw sample points follow the accuracy of the whole map and "
            "the area of each class, with 95 % confidence intervals. auto gives them where they "
            "can be given and says why where not; yes stops if they cannot be given; no leaves "
            "them out.",
        ),
        advanced=True,
    )


def _add_files(algorithm: ScasNetAlgorithm) -> None:
    files = (
        (
            REPORT,
            translate("ScasNet", "Report"),
            translate("ScasNet", "HTML files (*.html)"),
            translate("ScasNet", "A page with all figures, to be opened in a browser or printed."),
        ),
        (
            CSV,
            translate("ScasNet", "Tables"),
            translate("ScasNet", "CSV files (*.csv)"),
            translate("ScasNet", "The confusion matrix and the figures for a spreadsheet."),
        ),
        (
            JSON,
            translate("ScasNet", "Figures for programs"),
            translate("ScasNet", "JSON files (*.json)"),
            translate("ScasNet", "All figures in a file for other programs."),
        ),
    )
    for name, label, kind, help_text in files:
        parameter = QgsProcessingParameterFileDestination(
            name, label, kind, None, True, name == REPORT
        )
        algorithm.add(parameter, help_text)


def _add_outputs(algorithm: ScasNetAlgorithm) -> None:
    numbers = (
        (OVERALL_ACCURACY, translate("ScasNet", "Overall accuracy")),
        (KAPPA, translate("ScasNet", "Cohen's kappa")),
        (MEAN_IOU, translate("ScasNet", "Mean IoU")),
        (MEAN_F1, translate("ScasNet", "Mean F1 score")),
        (MEAN_PRECISION, translate("ScasNet", "Mean precision")),
        (MEAN_RECALL, translate("ScasNet", "Mean recall")),
        (PIXELS, translate("ScasNet", "Pixels compared")),
        (SAMPLES, translate("ScasNet", "Points compared")),
    )
    for name, label in numbers:
        algorithm.addOutput(QgsProcessingOutputNumber(name, label))
    texts = (
        (CLASS_ACCURACY, translate("ScasNet", "Figures of each class (JSON)")),
        (CONFUSION, translate("ScasNet", "Confusion matrix, a row a reference class (JSON)")),
        (LEFT_OUT, translate("ScasNet", "What was left out (JSON)")),
        (AREA_ADJUSTED_FIGURES, translate("ScasNet", "Area-adjusted figures (JSON)")),
    )
    for name, label in texts:
        algorithm.addOutput(QgsProcessingOutputString(name, label))


def output_values(result: Assessment) -> dict[str, Any]:
    """The values of all outputs but the files; None for what is not defined."""
    matrix = result.matrix
    left_out = [{"reason": str(each.reason), "count": each.count} for each in result.left_out]
    return {
        OVERALL_ACCURACY: number(matrix.overall_accuracy),
        KAPPA: number(matrix.kappa),
        MEAN_IOU: number(matrix.mean_iou),
        MEAN_F1: number(matrix.mean_f1),
        MEAN_PRECISION: number(matrix.mean_precision),
        MEAN_RECALL: number(matrix.mean_recall),
        PIXELS: 0 if result.points else matrix.total,
        SAMPLES: matrix.total if result.points else 0,
        CLASS_ACCURACY: json.dumps(class_facts(result), ensure_ascii=False),
        CONFUSION: json.dumps(matrix.counts.tolist()),
        LEFT_OUT: json.dumps(left_out, ensure_ascii=False),
        AREA_ADJUSTED_FIGURES: json.dumps(adjusted_facts(result), ensure_ascii=False),
    }


def help_text() -> str:
    """The description at the side of the dialog."""
    return translate(
        "ScasNet",
        "Says how good a land-cover map is: overall accuracy, Cohen's kappa, and for each class "
        "precision (user's accuracy), recall (producer's accuracy), F1 score and intersection over "
        "union, with the confusion matrix they come from.\n\nThe reference may be a raster, "
        "polygons or points. Pixels of the map without a class and places without a reference are "
        "not counted; the report says how many there are.\n\nOnly a random sample says something "
        "about the whole map: draw one with Draw sample points, label the points, and take them as "
        "the reference. The accuracy is then adjusted to the areas of the classes, and the area "
        "of each class is estimated, with confidence intervals (Olofsson et al. 2014).",
    )


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
