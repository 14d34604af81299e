"""The parameters and outputs of ``scasnet:exportmodel``, with the help beside each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
)

from scasnet_qgis.algorithms.input_parameters import class_field_parameter, reference_parameter
from scasnet_qgis.core.choices import EXPORT_PRECISIONS, SMALLEST_FIXED_SIZE
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

INPUT, PRECISION, CALIBRATION, BANDS = "INPUT", "PRECISION", "CALIBRATION", "BANDS"
FIXED_SIZE, OUTPUT, REPORT = "FIXED_SIZE", "OUTPUT", "REPORT"
LARGEST_DIFFERENCE, LABELS_AGREEING = "LARGEST_DIFFERENCE", "LABELS_AGREEING"
OVERALL_ACCURACY, OVERALL_ACCURACY_FP32 = "OVERALL_ACCURACY", "OVERALL_ACCURACY_FP32"
MEAN_IOU, MEAN_IOU_FP32, MEGABYTES = "MEAN_IOU", "MEAN_IOU_FP32", "MEGABYTES"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare every parameter and output."""
    _add_main(algorithm)
    _add_comparison(algorithm)
    _add_files(algorithm)
    _add_outputs(algorithm)


def _add_main(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterFile(
            INPUT,
            translate("ScasNet", "Model or training"),
            QgsProcessingParameterFile.Behavior.File,
            "",
            None,
            True,
            # QGIS refuses what its filter does not match, and that is also a folder.
            translate("ScasNet", "Models and checkpoints (*.onnx *.json *.safetensors *)"),
        ),
        translate(
            "ScasNet",
            "A model file (.onnx) in single precision, of this plugin or made for Deepness or "
            "GeoDeep; or a training: its folder (the model's name with _training added), or "
            "state.json in the folder best or checkpoint inside of it. Leave it empty for the "
            "model that comes with the plugin.",
        ),
    )
    precision = QgsProcessingParameterEnum(
        PRECISION, translate("ScasNet", "Precision"), list(EXPORT_PRECISIONS), False, "fp32"
    )
    precision.setUsesStaticStrings(True)
    algorithm.add(
        precision,
        translate(
            "ScasNet",
            "fp32 keeps single precision. fp16 halves the file and is faster on graphics cards. "
            "int8 makes a file of about a quarter that maps about twice as fast on processors, for "
            "about one label in a hundred that changes.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterRasterLayer(
            CALIBRATION, translate("ScasNet", "Raster for calibration"), None, True
        ),
        translate(
            "ScasNet",
            "An image like those that are to be mapped. int8 measures on one half of its windows "
            "which values occur; on the other half the exported model is compared with the "
            "original. Without one, fp32 and fp16 are compared on the demo image, where the model "
            "takes red, green and blue in 8 bit.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterNumber(
            FIXED_SIZE,
            translate("ScasNet", "Fixed tile size (pixels)"),
            QgsProcessingParameterNumber.Type.Integer,
            None,
            True,
            SMALLEST_FIXED_SIZE,
            16384,
        ),
        translate(
            "ScasNet",
            "Makes a file for square tiles of this size only, which Deepness and GeoDeep need. "
            "Leave it empty for a file that takes tiles of any size.",
        ),
    )


def _add_comparison(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        reference_parameter(points=False),
        translate(
            "ScasNet",
            "What is really there on the raster for calibration, as a raster of class values or "
            "as polygons: the accuracy of both models is measured against it. Classes are matched "
            "by their names, or by their values where one side has no names.",
        ),
    )
    algorithm.add(
        class_field_parameter(),
        translate("ScasNet", "The field of the polygons that holds the class."),
    )
    algorithm.add(
        QgsProcessingParameterBand(
            BANDS, translate("ScasNet", "Bands"), None, CALIBRATION, True, True
        ),
        translate(
            "ScasNet",
            "The bands of the raster that feed the bands of the model, in the model's order. Leave "
            "it empty to find them by their colour interpretation and then by their order.",
        ),
        advanced=True,
    )


def _add_files(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterFileDestination(
            OUTPUT,
            translate("ScasNet", "Exported model"),
            translate("ScasNet", "Models (*.onnx)"),
        ),
        translate(
            "ScasNet",
            "The model file, with the description of the original. Map land cover takes it at "
            "once.",
        ),
    )
    kinds = (
        translate("ScasNet", "HTML files (*.html)"),
        translate("ScasNet", "JSON files (*.json)"),
    )
    algorithm.add(
        QgsProcessingParameterFileDestination(
            REPORT, translate("ScasNet", "Report"), ";;".join(kinds), None, True, False
        ),
        translate(
            "ScasNet",
            "How far the exported model is from the original, class by class: a page for the web "
            "browser, or a file for programs where its name ends in .json.",
        ),
    )


def _add_outputs(algorithm: ScasNetAlgorithm) -> None:
    numbers = {
        LARGEST_DIFFERENCE: translate("ScasNet", "Largest difference of a probability"),
        LABELS_AGREEING: translate("ScasNet", "Share of labels that agree"),
        OVERALL_ACCURACY: translate("ScasNet", "Overall accuracy"),
        OVERALL_ACCURACY_FP32: translate("ScasNet", "Overall accuracy in fp32"),
        MEAN_IOU: translate("ScasNet", "Mean IoU"),
        MEAN_IOU_FP32: translate("ScasNet", "Mean IoU in fp32"),
        MEGABYTES: translate("ScasNet", "Size of the file (MB)"),
    }
    algorithm.add_outputs(QgsProcessingOutputNumber, numbers)


def output_values(report: dict[str, Any]) -> dict[str, Any]:
    """The values of all outputs but the files; accuracy only where there is a reference."""
    keys = {
        LARGEST_DIFFERENCE: "largest_difference",
        LABELS_AGREEING: "labels_agreeing",
        OVERALL_ACCURACY: "overall_accuracy",
        OVERALL_ACCURACY_FP32: "overall_accuracy_fp32",
        MEAN_IOU: "mean_iou",
        MEAN_IOU_FP32: "mean_iou_fp32",
    }
    found = {name: report[key] for name, key in keys.items() if report[key] is not None}
    return {**found, MEGABYTES: round(report["bytes"] / 1e6, 3)}


def help_text() -> str:
    """The description at the side of the dialog."""
    return translate(
        "ScasNet",
        "Makes a model file (.onnx) of a training or of another model: in single precision, in "
        "half precision, or in 8 bit. The exported model is compared with the original on real "
        "tiles, and the report says how many labels agree and, where there is a reference, how "
        "accurate both are.\n\nThe work is done in a process of its own, with the Python chosen "
        "in Settings > Options > Processing > Providers > ScasNet. Only a training needs PyTorch "
        "there; a model file is converted with the packages onnx and onnxruntime.",
    )
