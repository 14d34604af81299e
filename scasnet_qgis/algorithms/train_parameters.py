"""The parameters and outputs of ``scasnet:train``, with the help beside each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import (
    QgsProcessingOutputBoolean,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.input_parameters import field_parameter
from scasnet_qgis.algorithms.train_advanced import add_advanced
from scasnet_qgis.algorithms.train_names import choice, integer, maps, number, rasters, text
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare every parameter and output."""
    _add_data(algorithm)
    _add_schedule(algorithm)
    _add_results(algorithm)
    add_advanced(algorithm)
    _add_outputs(algorithm)


def _add_data(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        rasters(names.INPUT, translate("ScasNet", "Images")),
        translate(
            "ScasNet",
            "One or more aerial or satellite images to learn from, all with the same bands. Only "
            "the parts around labels are read.",
        ),
    )
    algorithm.add(
        maps(names.LABELS, translate("ScasNet", "Labels")),
        translate(
            "ScasNet",
            "What is where: polygons that somebody drew, or rasters of class values. They are "
            "laid over the images by their place, whatever their coordinate reference system. A "
            "few dozen polygons are enough to begin with; what none of them covers is left out. "
            "Names and colours of the classes come from the layer's legend, or from the file.",
        ),
    )
    algorithm.add(
        field_parameter(
            names.CLASS_FIELD, translate("ScasNet", "Field with the class"), names.LABELS
        ),
        translate(
            "ScasNet",
            "The field of the polygons that holds the class, as text or as number. Polygons "
            "without a value are left out. Rasters need no field.",
        ),
    )
    algorithm.add(
        text(names.BANDS, translate("ScasNet", "Bands")),
        translate(
            "ScasNet",
            "The numbers of the bands to learn from, as in 4;3;2. Leave it empty for red, green "
            "and blue, or for all bands of images that have fewer than three. The model will want "
            "the same bands in the same order.",
        ),
    )
    algorithm.add(
        number(
            names.VALIDATION, translate("ScasNet", "Share for validation"), 0.2, 0.0, 90.0, False
        ),
        translate(
            "ScasNet",
            "The share of the labelled ground that is not learned from but kept to measure how "
            "good the model is, as in 0.2 or 20 (percent). Whole blocks of ground are kept apart, "
            "because pixels beside those that were learned from would flatter the model.",
        ),
    )


def _add_schedule(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        choice(names.NETWORK, translate("ScasNet", "Network"), tuple(names.NETWORKS), "compact"),
        translate(
            "ScasNet",
            "compact is a quarter as wide as the published VGG network, trains on an ordinary "
            "processor and maps quickly. vgg and resnet are the published networks: more accurate, "
            "but slow to train without a graphics card.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterFile(
            names.START_FROM,
            translate("ScasNet", "Start from"),
            QgsProcessingParameterFile.Behavior.File,
            "",
            None,
            True,
            # QGIS refuses what its filter does not match, and that is also a folder or a word.
            translate("ScasNet", "Models and weights (*.onnx *.safetensors *.caffemodel *)"),
        ),
        translate(
            "ScasNet",
            "What the network knows at the start: a model made by this plugin (.onnx), published "
            "weights (.caffemodel, or the .safetensors made of one), or the folder of a training. "
            "Leave it empty for the model that comes with the plugin where it has the same network "
            "and bands; write nothing to start from random values.",
        ),
    )
    algorithm.add(
        number(names.TIME_BUDGET, translate("ScasNet", "Time budget (minutes)"), 60.0, 0.01, 1e6),
        translate(
            "ScasNet",
            "How long to train at most. A run that is cancelled, or comes to its end and is given "
            "more time, goes on where it stopped when it is run again with the same model file.",
        ),
    )
    algorithm.add(
        integer(names.EPOCHS, translate("ScasNet", "Epochs"), None, 1, 1_000_000),
        translate(
            "ScasNet",
            "How often to go over all labels at most. Training ends with whichever comes first, "
            "the epochs or the time budget; leave one of them empty to have the other decide.",
        ),
    )


def _add_results(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        text(names.MODEL_NAME, translate("ScasNet", "Name of the model")),
        translate(
            "ScasNet", "A name for people, which is written into the model file and the report."
        ),
    )
    algorithm.add(
        QgsProcessingParameterFileDestination(
            names.MODEL,
            translate("ScasNet", "Model"),
            translate("ScasNet", "Models (*.onnx)"),
        ),
        translate(
            "ScasNet",
            "The model file, which Map land cover takes at once. A folder of the same name with "
            "_training added is made beside it; it holds what a later run goes on from.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterFileDestination(
            names.REPORT,
            translate("ScasNet", "Report"),
            translate("ScasNet", "Web pages (*.html)"),
            None,
            True,
            True,
        ),
        translate(
            "ScasNet",
            "One file for the web browser: the curves, the confusion matrix, the accuracy of each "
            "class, a few examples, the settings, and how to do the same again. On the command "
            "line it lies beside the model where no name is given.",
        ),
    )


def _add_outputs(algorithm: ScasNetAlgorithm) -> None:
    numbers = {
        names.OVERALL_ACCURACY: translate("ScasNet", "Overall accuracy on the validation data"),
        names.MEAN_IOU: translate("ScasNet", "Mean IoU on the validation data"),
        names.EPOCHS_DONE: translate("ScasNet", "Epochs done"),
        names.STEPS: translate("ScasNet", "Steps done"),
    }
    algorithm.add_outputs(QgsProcessingOutputNumber, numbers)
    label = translate("ScasNet", "IoU of each class on the validation data (JSON)")
    algorithm.addOutput(QgsProcessingOutputString(names.CLASS_ACCURACY, label))
    label = translate("ScasNet", "The run went on with an earlier one")
    algorithm.addOutput(QgsProcessingOutputBoolean(names.RESUMED, label))


def help_text() -> str:
    """The description at the side of the dialog."""
    return translate(
        "ScasNet",
        "Trains a model on your own landscape, from images and from labels that say what is "
        "where. The result is a model file for Map land cover, and a report that says how good "
        "it is.\n\nTraining runs in a process of its own, with a Python that has PyTorch: QGIS's, "
        "or the one chosen in Settings > Options > Processing > Providers > ScasNet. Check the "
        "set-up says whether there is one.\n\nCancel ends a training within seconds and leaves "
        "the best model so far. Run again with the same settings and the same model file, it goes "
        "on where it stopped, also after a crash.",
    )
