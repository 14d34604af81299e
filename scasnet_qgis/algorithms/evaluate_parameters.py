"""The parameters and outputs of ``scasnet:evaluate``, with the help beside each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from scasnet_qgis.algorithms.input_parameters import (
    class_field_parameter,
    extent_parameter,
    map_parameter,
    reference_parameter,
)
from scasnet_qgis.core.choices import ADJUSTED, MOST_BOUNDARY
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

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
    algorithm.add(
        reference_parameter(points=True),
        translate(
            "ScasNet",
            "What is really there: a raster of class values, polygons or points. It is laid over "
            "the map by its place, whatever its coordinate reference system. Classes are matched "
            "by their names, or by their values where one side has no names.",
        ),
    )
    algorithm.add(
        class_field_parameter(),
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
    algorithm.add_outputs(QgsProcessingOutputNumber, numbers)
    texts = {
        CLASS_ACCURACY: translate("ScasNet", "Figures of each class (JSON)"),
        CONFUSION: translate("ScasNet", "Confusion matrix, a row a reference class (JSON)"),
        LEFT_OUT: translate("ScasNet", "What was left out (JSON)"),
        AREA_ADJUSTED_FIGURES: translate("ScasNet", "Area-adjusted figures (JSON)"),
    }
    algorithm.add_outputs(QgsProcessingOutputString, texts)


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
