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
)

from scasnet_qgis.i18n import translate
from scasnet_qgis.qgis_ui.processing.base import FeedbackProgress, ScasNetAlgorithm
from scasnet_qgis.qgis_ui.processing.parameters import declare, read
from scasnet_qgis.training.caffe.request import CaffeImport

INPUT, OUTPUT = "INPUT", "OUTPUT"
MATCHED, UNMATCHED, FOUND_NETWORK = "MATCHED", "UNMATCHED", "FOUND_NETWORK"


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
            "ScasNet it can make a complete model instead.\n\nThe log lists which layer was used "
            "where, which layers of the file were not used, and which layers of ScasNet are not in "
            "the file. Nothing in the file is executed. This needs the Python with PyTorch that "
            "training uses.",
        )

    def keywords(self) -> str:
        return translate("ScasNet", "caffe,caffemodel,vgg,resnet,pspnet,deeplab,weights,import")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        files = translate("ScasNet", "Caffe models (*.caffemodel);;All files (*)")
        kind = QgsProcessingParameterFile.Behavior.File
        label = translate("ScasNet", "Caffe model")
        self.add(
            QgsProcessingParameterFile(INPUT, label, kind, "", None, False, files),
            translate(
                "ScasNet",
                "The file with the weights (.caffemodel), in Caffe's present or old format. The "
                "description (.prototxt) is not needed.",
            ),
        )
        declare(self, CaffeImport, "network", "class_names")
        outputs = translate(
            "ScasNet", "Encoder to start a training from (*.safetensors);;Complete model (*.onnx)"
        )
        self.add_file(
            OUTPUT,
            translate("ScasNet", "Imported weights"),
            outputs,
            translate(
                "ScasNet",
                "A name that ends in .safetensors takes the encoder, for Start from of a training. "
                "A name that ends in .onnx takes all of ScasNet, as a model to map with.",
            ),
            required=True,
        )
        declare(self, CaffeImport, "class_colors", "mean", "scale", "band_order")
        texts = {
            FOUND_NETWORK: translate("ScasNet", "Network in the file"),
            MATCHED: translate("ScasNet", "Layers that match (JSON)"),
            UNMATCHED: translate("ScasNet", "Layers that do not match, on both sides (JSON)"),
        }
        self.add_outputs(QgsProcessingOutputString, texts)

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self._request(parameters, context)

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.outputs.atomic_files import check_targets
        from scasnet_qgis.qgis_ui.processing.worker_process import run_task

        request = self._request(parameters, context)
        check_targets([request.output], [str(request.source)])
        result = run_task("importcaffe", vars(request), FeedbackProgress(feedback))
        return {
            OUTPUT: str(request.output),
            FOUND_NETWORK: result["network"],
            MATCHED: json.dumps(result["matched"]),
            UNMATCHED: json.dumps(result["unmatched"]),
        }

    def _request(self, parameters: dict[str, Any], context: QgsProcessingContext) -> CaffeImport:
        """What the task is told; raises SettingError or OutputError where it cannot work."""
        source = Path(self.parameterAsFile(parameters, INPUT, context))
        output = Path(self.parameterAsFileOutput(parameters, OUTPUT, context))
        return read(self, parameters, context, CaffeImport, source=source, output=output)
