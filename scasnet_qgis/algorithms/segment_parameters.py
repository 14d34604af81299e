"""The parameters and outputs of ``scasnet:segment``, with the help beside each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from scasnet_qgis import settings
from scasnet_qgis.algorithms import refinement_parameters as refinements
from scasnet_qgis.algorithms import rendering_parameters, run_parameters, value_parameters
from scasnet_qgis.algorithms.input_parameters import extent_parameter, mask_parameter
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm

INPUT, MODEL, BANDS = "INPUT", "MODEL", "BANDS"
OUTPUT, PROBABILITIES = "OUTPUT", "PROBABILITIES"
RESAMPLE = "RESAMPLE"
DEVICE, TILE_SIZE, OVERLAP = "DEVICE", "TILE_SIZE", "OVERLAP"
BATCH_SIZE, THREADS = "BATCH_SIZE", "THREADS"
CLASS_STATISTICS, AREA_UNIT, SECONDS = "CLASS_STATISTICS", "AREA_UNIT", "SECONDS"
MEGAPIXELS_PER_SECOND, PROVIDER, MODEL_NAME = "MEGAPIXELS_PER_SECOND", "PROVIDER", "MODEL_NAME"


def add_to(algorithm: ScasNetAlgorithm) -> None:
    """Declare every parameter and output."""
    _add_main(algorithm)
    _add_resample(algorithm)
    value_parameters.add_to(algorithm)
    refinements.add_to(algorithm)
    _add_advanced(algorithm)
    rendering_parameters.add_to(algorithm)
    run_parameters.add_to(algorithm)
    _add_outputs(algorithm)


def _add_main(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterRasterLayer(INPUT, translate("ScasNet", "Image")),
        translate(
            "ScasNet",
            "The aerial or satellite image to map. Any size: it is read in windows. The map gets "
            "exactly its pixel grid and coordinate reference system. A web layer (XYZ tiles, WMS "
            "and others) is rendered within the extent.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterFile(
            MODEL,
            translate("ScasNet", "Model"),
            QgsProcessingParameterFile.Behavior.File,
            "onnx",
            None,
            True,
        ),
        translate(
            "ScasNet",
            "The model file (.onnx): one made by this plugin, or a segmentation model made for "
            "Deepness or GeoDeep. Leave it empty for the model that comes with the plugin "
            "(building, land, road, vegetation, water).",
        ),
    )
    algorithm.add(
        QgsProcessingParameterBand(BANDS, translate("ScasNet", "Bands"), None, INPUT, True, True),
        translate(
            "ScasNet",
            "The bands of the image that feed the bands of the model, in the model's order (red, "
            "green, blue for the model that comes with the plugin); on the command line as in "
            '"3;2;1". Leave it empty to find them by their colour interpretation and then by their '
            "order.",
        ),
    )
    algorithm.add(
        extent_parameter(),
        translate(
            "ScasNet",
            "The part of the image to map. Leave it empty to map all of it; a web layer needs one.",
        ),
    )
    algorithm.add(
        mask_parameter(),
        translate(
            "ScasNet",
            "Polygons in which to map, in any coordinate reference system: only pixels whose "
            "centre lies in one of them get a class, and what is far from all of them costs no "
            "time. The map keeps the size of the image or the extent. Leave it empty to map "
            "everything.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterRasterDestination(OUTPUT, translate("ScasNet", "Land cover")),
        translate(
            "ScasNet",
            "The map, a GeoTIFF with class names, colours and a style. The first class of the "
            "model has the value 1; 0 is where the image has no data, where the mask leaves it "
            "out, and where no class reaches the least confidence.",
        ),
    )
    algorithm.add(
        QgsProcessingParameterRasterDestination(
            PROBABILITIES, translate("ScasNet", "Class probabilities"), None, True, False
        ),
        translate(
            "ScasNet",
            "If wanted, a second GeoTIFF with one band a class that says from 0 to 1 how probable "
            "the class is; -1 is where the map has no data.",
        ),
    )


def _number(
    name: str, label: str, default: int | None, optional: bool, minimum: int, maximum: int
) -> QgsProcessingParameterNumber:
    kind = QgsProcessingParameterNumber.Type.Integer
    return QgsProcessingParameterNumber(name, label, kind, default, optional, minimum, maximum)


def _add_resample(algorithm: ScasNetAlgorithm) -> None:
    label = translate("ScasNet", "Bring the image to the model's ground resolution")
    algorithm.add(
        QgsProcessingParameterBoolean(RESAMPLE, label, True),
        translate(
            "ScasNet",
            "A model knows things at the size, in pixels, that they had where it was trained. "
            "Where its card states a ground resolution and the image has another one, the image "
            "is resampled while it is read, and the map comes back on the image's own pixels; the "
            "log says from what to what. Images that fit are left alone, and so are those that are "
            "more than two and a half times too coarse. Without this tick the model gets the "
            "image's own pixels.",
        ),
        advanced=True,
    )


def _add_advanced(algorithm: ScasNetAlgorithm) -> None:
    device = QgsProcessingParameterEnum(
        DEVICE,
        translate("ScasNet", "Device"),
        list(settings.DEVICES),
        False,
        settings.default_device(),
    )
    device.setUsesStaticStrings(True)
    algorithm.add(
        device,
        translate(
            "ScasNet",
            "What the model runs on, by its name: auto, cpu, cuda and so on. auto takes the "
            "fastest that really works here; the log says which one it was.",
        ),
        advanced=True,
    )
    algorithm.add(
        _number(TILE_SIZE, translate("ScasNet", "Tile size (pixels)"), None, True, 32, 16384),
        translate(
            "ScasNet",
            "The image goes through the model in tiles of as many pixels as a square with this "
            "side has, or fewer; a side may be up to 1.4 times as long, where that fits the image. "
            "Smaller tiles need less memory. Leave it empty for what the model advises.",
        ),
        advanced=True,
    )
    algorithm.add(
        _number(OVERLAP, translate("ScasNet", "Overlap (pixels)"), None, True, 0, 8192),
        translate(
            "ScasNet",
            "By how much neighbouring tiles overlap. Their results are blended over it, so that "
            "no tile borders show. Leave it empty for what the model advises.",
        ),
        advanced=True,
    )
    algorithm.add(
        _number(BATCH_SIZE, translate("ScasNet", "Tiles at a time"), 0, False, 0, 1024),
        translate(
            "ScasNet",
            "Tiles that go through the model together; 0 takes as many as a graphics card has "
            "memory for, and 1 on a processor, which gains nothing by more.",
        ),
        advanced=True,
    )
    algorithm.add(
        _number(THREADS, translate("ScasNet", "Processor threads"), 0, False, 0, 1024),
        translate("ScasNet", "Processor cores to use; 0 takes all of them."),
        advanced=True,
    )


def _add_outputs(algorithm: ScasNetAlgorithm) -> None:
    texts = (
        (CLASS_STATISTICS, translate("ScasNet", "Pixels and area of each class (JSON)")),
        (AREA_UNIT, translate("ScasNet", "Unit of the areas")),
        (PROVIDER, translate("ScasNet", "What the model ran on")),
        (MODEL_NAME, translate("ScasNet", "Name of the model")),
    )
    for name, label in texts:
        algorithm.addOutput(QgsProcessingOutputString(name, label))
    algorithm.addOutput(QgsProcessingOutputNumber(SECONDS, translate("ScasNet", "Seconds")))
    speed = translate("ScasNet", "Megapixels a second")
    algorithm.addOutput(QgsProcessingOutputNumber(MEGAPIXELS_PER_SECOND, speed))
    refinements.add_outputs_to(algorithm)


def help_text() -> str:
    """The description at the side of the dialog."""
    return translate(
        "ScasNet",
        "Maps land cover: each pixel of the image gets the class that the model finds most "
        "probable.\n\nThe image may be of any size; it is read, classified and written window by "
        "window. Neighbouring tiles overlap and are blended, so that no borders show. A run that "
        "is cancelled or fails leaves no map, and the same command goes on where it stopped."
        "\n\nThe model that comes with the plugin was trained on satellite images of Dubai with "
        "about 1 m ground resolution, and knows building, land, road, vegetation and water. "
        "Elsewhere, expect to need a model for your landscape.",
    )
