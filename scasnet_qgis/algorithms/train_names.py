"""Names of the parameters and outputs of ``scasnet:train``, and ways to declare them."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

INPUT, LABELS, CLASS_FIELD = "INPUT", "LABELS", "CLASS_FIELD"
IMAGE_FOLDER, LABEL_FOLDER = "IMAGE_FOLDER", "LABEL_FOLDER"
BANDS, MATCH, VALIDATION = "BANDS", "MATCH", "VALIDATION"
VALIDATION_INPUT, VALIDATION_LABELS = "VALIDATION_INPUT", "VALIDATION_LABELS"
NETWORK, WIDTH, START_FROM = "NETWORK", "WIDTH", "START_FROM"
EPOCHS, TIME_BUDGET, TILE_SIZE, BATCH_SIZE = "EPOCHS", "TIME_BUDGET", "TILE_SIZE", "BATCH_SIZE"
LEARNING_RATE, OPTIMIZER, HEAD_RATE = "LEARNING_RATE", "OPTIMIZER", "HEAD_RATE"
DEVICE, THREADS, SEED, MODEL_NAME = "DEVICE", "THREADS", "SEED", "MODEL_NAME"
MODEL, REPORT = "MODEL", "REPORT"
OVERALL_ACCURACY, MEAN_IOU, CLASS_ACCURACY = "OVERALL_ACCURACY", "MEAN_IOU", "CLASS_ACCURACY"
EPOCHS_DONE, STEPS, RESUMED = "EPOCHS_DONE", "STEPS", "RESUMED"

BY_PLACE, BY_ORDER = "place", "order"
NETWORKS = {"compact": ("vgg", 0.25), "vgg": ("vgg", 1.0), "resnet": ("resnet", 1.0)}
OPTIMIZERS, DEVICES = ("adamw", "sgd"), ("auto", "cpu", "cuda")
NOTHING = "nothing"


def rasters(name: str, label: str) -> QgsProcessingParameterMultipleLayers:
    """Several rasters, or none."""
    kind = QgsProcessing.SourceType.TypeRaster
    return QgsProcessingParameterMultipleLayers(name, label, kind, None, True)


def maps(name: str, label: str) -> QgsProcessingParameterMultipleLayers:
    """Several rasters or vector layers, or none."""
    kind = QgsProcessing.SourceType.TypeMapLayer
    return QgsProcessingParameterMultipleLayers(name, label, kind, None, True)


def choice(
    name: str, label: str, options: tuple[str, ...], default: str
) -> QgsProcessingParameterEnum:
    """One of a few words."""
    parameter = QgsProcessingParameterEnum(name, label, list(options), False, default)
    parameter.setUsesStaticStrings(True)
    return parameter


def integer(
    name: str, label: str, default: int | None, minimum: int, maximum: int
) -> QgsProcessingParameterNumber:
    """A whole number; one without a default may be left out."""
    kind = QgsProcessingParameterNumber.Type.Integer
    optional = default is None
    return QgsProcessingParameterNumber(name, label, kind, default, optional, minimum, maximum)


def number(
    name: str,
    label: str,
    default: float | None,
    minimum: float,
    maximum: float,
    optional: bool = True,
) -> QgsProcessingParameterNumber:
    """A number with a fraction."""
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, label, kind, default, optional, minimum, maximum)


def text(name: str, label: str) -> QgsProcessingParameterString:
    """A text that may be empty."""
    return QgsProcessingParameterString(name, label, None, False, True)


def folder(name: str, label: str) -> QgsProcessingParameterFile:
    """A folder that may be left out."""
    behavior = QgsProcessingParameterFile.Behavior.Folder
    return QgsProcessingParameterFile(name, label, behavior, "", None, True)
