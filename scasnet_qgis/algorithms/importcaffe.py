"""``scasnet:importcaffe``: published Caffe weights as a start for training, or as a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from scasnet_qgis.algorithms.base import FeedbackProgress, ScasNetAlgorithm
from scasnet_qgis.algorithms.train_names import choice
from scasnet_qgis.core.errors import SettingError
from scasnet_qgis.i18n import translate

INPUT, NETWORK, OUTPUT = "INPUT", "NETWORK", "OUTPUT"
CLASS_NAMES, CLASS_COLORS = "CLASS_NAMES", "CLASS_COLORS"
MEAN, SCALE, BAND_ORDER = "MEAN", "SCALE", "BAND_ORDER"
MATCHED, UNMATCHED, FOUND_NETWORK = "MATCHED", "UNMATCHED", "FOUND_NETWORK"

NETWORKS = ("auto", "vgg", "resnet")
BAND_ORDERS = ("bgr", "rgb")


class ImportCaffe(ScasNetAlgorithm):
    """Turns a ``.caffemodel`` into what START_FROM takes, or into a complete model."""

    def name(self) -> str:
        return "importcaffe"

    def displayName(self) -> str:
        return translate("ScasNet", "Import Caffe weights")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Makes published Caffe weights usable for training or mapping.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Reads a Caffe model (.caffemodel) and finds the layers of ScasNet in it by their "
            "names.\n\nFrom a VGG16 file of DeepLab or a ResNet-101 file of PSPNet it takes the "
            "encoder, which a training can then start from. From a file with all layers of "
            "ScasNet it can make a complete model instead.\n\nThe log lists which layer went "
            "where, which layers of the file were not used, and which layers of ScasNet got "
            "nothing. Nothing from the file is run. This needs the Python with PyTorch that also "
            "trains.",
        )

    def tags(self) -> list[str]:
        words = translate("ScasNet", "caffe,caffemodel,vgg,resnet,pspnet,deeplab,weights,import")
        return list(words.split(","))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_main()
        self._add_input_facts()
        texts = {
            FOUND_NETWORK: translate("ScasNet", "Network that the file holds"),
            MATCHED: translate("ScasNet", "Layers that match (JSON)"),
            UNMATCHED: translate("ScasNet", "Layers that do not, on both sides (JSON)"),
        }
        self.add_outputs(QgsProcessingOutputString, texts)

    def _add_main(self) -> None:
        files = translate("ScasNet", "Caffe models (*.caffemodel);;All files (*)")
        self.add(
            QgsProcessingParameterFile(
                INPUT,
                translate("ScasNet", "Caffe model"),
                QgsProcessingParameterFile.Behavior.File,
                "",
                None,
                False,
                files,
            ),
            translate(
                "ScasNet",
                "The file with the weights (.caffemodel), in Caffe's present or old container. The "
                "description (.prototxt) is not needed.",
            ),
        )
        self.add(
            choice(NETWORK, translate("ScasNet", "Network"), NETWORKS, NETWORKS[0]),
            translate(
                "ScasNet",
                "Which of the two networks the weights are for: vgg, resnet, or auto, which finds "
                "it from the names of the layers.",
            ),
        )
        self.add(
            QgsProcessingParameterString(
                CLASS_NAMES, translate("ScasNet", "Names of the classes"), None, False, True
            ),
            translate(
                "ScasNet",
                'For a complete model: the names of its classes in their order, as in "road; '
                'building; tree". A Caffe file does not hold them; without names they are '
                "numbered.",
            ),
        )
        outputs = translate(
            "ScasNet", "Encoder to start a training from (*.safetensors);;Complete model (*.onnx)"
        )
        self.add(
            QgsProcessingParameterFileDestination(
                OUTPUT, translate("ScasNet", "Imported weights"), outputs
            ),
            translate(
                "ScasNet",
                "A name that ends in .safetensors takes the encoder, for START_FROM of a training. "
                "One that ends in .onnx takes all of ScasNet, as a model to map with.",
            ),
        )

    def _add_input_facts(self) -> None:
        self.add(
            QgsProcessingParameterString(
                CLASS_COLORS, translate("ScasNet", "Colours of the classes"), None, False, True
            ),
            translate(
                "ScasNet",
                'For a complete model: one colour for each class, as in "#ffffff; #0000ff; '
                '#00ff00".',
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(
                MEAN, translate("ScasNet", "Mean of the bands"), None, False, True
            ),
            translate(
                "ScasNet",
                "What the network wants subtracted from each band, from 0 to 255, in the order of "
                "its bands. Leave it empty for what DeepLab (VGG: 104.008, 116.669, 122.675) and "
                "PSPNet (ResNet: 103.939, 116.779, 123.68) were trained with.",
            ),
            advanced=True,
        )
        kind = QgsProcessingParameterNumber.Type.Double
        self.add(
            QgsProcessingParameterNumber(
                SCALE, translate("ScasNet", "Scale of the input"), kind, 1.0, False, 1e-6, 1e6
            ),
            translate(
                "ScasNet",
                "What the network wants the values multiplied with once the mean is subtracted: 1 "
                "for the published networks, which take values up to 255.",
            ),
            advanced=True,
        )
        self.add(
            choice(
                BAND_ORDER,
                translate("ScasNet", "Order of the bands"),
                BAND_ORDERS,
                BAND_ORDERS[0],
            ),
            translate(
                "ScasNet",
                "The order in which the network takes its bands: bgr (blue, green, red), as Caffe "
                "networks are published, or rgb.",
            ),
            advanced=True,
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self._request(parameters, context)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.algorithms.child_process import run_task
        from scasnet_qgis.raster.whole_files import check_targets

        request = self._request(parameters, context)
        check_targets([Path(request["output"])], [request["input"]])
        result = run_task("importcaffe", request, FeedbackProgress(feedback))
        return {
            OUTPUT: request["output"],
            FOUND_NETWORK: result["network"],
            MATCHED: json.dumps(result["matched"]),
            UNMATCHED: json.dumps(result["unmatched"]),
        }

    def _request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """What the task is told; raises SettingError or OutputError where it cannot work."""
        from scasnet_qgis.training.caffe_request import CaffeImport

        def entries(name: str) -> list[str]:
            text = self.parameterAsString(parameters, name, context)
            return [each.strip() for each in text.split(";")] if text.strip() else []

        request = {
            "input": self.parameterAsFile(parameters, INPUT, context),
            "output": self.parameterAsFileOutput(parameters, OUTPUT, context),
            "network": self.parameterAsEnumString(parameters, NETWORK, context),
            "class_names": entries(CLASS_NAMES),
            "class_colors": entries(CLASS_COLORS),
            "mean": _numbers(self.parameterAsString(parameters, MEAN, context)),
            "scale": self.parameterAsDouble(parameters, SCALE, context),
            "band_order": self.parameterAsEnumString(parameters, BAND_ORDER, context),
        }
        CaffeImport.of(request)
        return request


def _numbers(text: str) -> list[float]:
    """Numbers with commas, semicolons or spaces between them."""
    words = text.replace(",", " ").replace(";", " ").split()
    try:
        return [float(each) for each in words]
    except ValueError as error:
        message = translate(
            "ScasNet", 'The mean must be numbers, as in "104.008, 116.669, 122.675".'
        )
        raise SettingError(message) from error
