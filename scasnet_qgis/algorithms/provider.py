"""The Processing provider: the list of algorithms."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from scasnet_qgis import paths, settings
from scasnet_qgis.algorithms.about import ModelInformation
from scasnet_qgis.algorithms.check_setup import CheckSetup
from scasnet_qgis.algorithms.evaluate import Evaluate
from scasnet_qgis.algorithms.export_model import ExportModel
from scasnet_qgis.algorithms.import_caffe import ImportCaffe
from scasnet_qgis.algorithms.sample_points import SamplePoints
from scasnet_qgis.algorithms.segment import Segment
from scasnet_qgis.algorithms.train import Train

ALGORITHMS = (
    Segment,
    Train,
    ImportCaffe,
    ExportModel,
    ModelInformation,
    Evaluate,
    SamplePoints,
    CheckSetup,
)


class ScasNetProvider(QgsProcessingProvider):
    """Every algorithm is always registered; what it lacks is said when it is run."""

    def id(self) -> str:
        return "scasnet"

    def name(self) -> str:
        return "ScasNet"

    def longName(self) -> str:
        return "ScasNet land cover"

    def icon(self) -> QIcon:
        return QIcon(paths.icon())

    def svgIconPath(self) -> str:
        return paths.icon()

    def load(self) -> bool:
        settings.register(self.name())
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        settings.unregister()

    def loadAlgorithms(self) -> None:
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif"]
