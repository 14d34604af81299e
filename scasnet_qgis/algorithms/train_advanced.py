"""The parameters of ``scasnet:train`` that its dialog folds away, with the help beside each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.train_names import choice, folder, integer, maps, number, rasters
from scasnet_qgis.i18n import translate

if TYPE_CHECKING:
    from scasnet_qgis.algorithms.base import ScasNetAlgorithm


def add_advanced(algorithm: ScasNetAlgorithm) -> None:
    """Declare them."""
    _add_other_data(algorithm)
    _add_network(algorithm)
    _add_machine(algorithm)


def _add_other_data(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        choice(
            names.MATCH,
            translate("ScasNet", "Match labels by"),
            (names.BY_PLACE, names.BY_ORDER),
            names.BY_PLACE,
        ),
        translate(
            "ScasNet",
            "place lays labels over images by their coordinates. order takes the first of the "
            "labels for the first image, the second for the second and so on, and needs no "
            "coordinates where both have the same size in pixels.",
        ),
        advanced=True,
    )
    algorithm.add(
        folder(names.IMAGE_FOLDER, translate("ScasNet", "Folder of images")),
        translate(
            "ScasNet",
            "Instead of images and labels from the map: a folder of images, whose labels lie in "
            "another folder under the same names. They need no coordinates.",
        ),
        advanced=True,
    )
    algorithm.add(
        folder(names.LABEL_FOLDER, translate("ScasNet", "Folder of labels")),
        translate(
            "ScasNet", "The labels for the folder of images: rasters of class values, same names."
        ),
        advanced=True,
    )
    algorithm.add(
        rasters(names.VALIDATION_INPUT, translate("ScasNet", "Images for validation")),
        translate(
            "ScasNet",
            "Images to measure the accuracy on. If there are any, all of the others are learned "
            "from, and no share is kept apart.",
        ),
        advanced=True,
    )
    algorithm.add(
        maps(names.VALIDATION_LABELS, translate("ScasNet", "Labels for validation")),
        translate(
            "ScasNet",
            "The labels of the images for validation. Leave it empty where the labels above cover "
            "them too.",
        ),
        advanced=True,
    )


def _add_network(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        number(names.WIDTH, translate("ScasNet", "Width of the network"), None, 0.03125, 1.0),
        translate(
            "ScasNet",
            "The share of the published number of channels, as in 0.25. Leave it empty for that of "
            "the network chosen above.",
        ),
        advanced=True,
    )
    algorithm.add(
        integer(names.TILE_SIZE, translate("ScasNet", "Tile size (pixels)"), 400, 32, 4096),
        translate(
            "ScasNet",
            "The side of the pieces that are cut from the images at random; 400 as published. "
            "Smaller ones need less memory, and show the network less of the surroundings.",
        ),
        advanced=True,
    )
    algorithm.add(
        integer(names.BATCH_SIZE, translate("ScasNet", "Tiles at a time"), 4, 1, 1024),
        translate(
            "ScasNet", "How many pieces the network sees in one step. Fewer need less memory."
        ),
        advanced=True,
    )
    algorithm.add(
        choice(
            names.OPTIMIZER,
            translate("ScasNet", "Optimizer"),
            names.OPTIMIZERS,
            names.OPTIMIZERS[0],
        ),
        translate(
            "ScasNet", "How the weights are changed: adamw needs no tuning, sgd is as published."
        ),
        advanced=True,
    )
    algorithm.add(
        number(names.LEARNING_RATE, translate("ScasNet", "Learning rate"), None, 1e-8, 10.0),
        translate(
            "ScasNet",
            "How far a step goes at the start; it falls to zero over the run. Leave it empty for "
            "one that suits the optimizer.",
        ),
        advanced=True,
    )
    algorithm.add(
        number(
            names.HEAD_RATE, translate("ScasNet", "Learning rate of the head"), None, 0.01, 1000.0
        ),
        translate(
            "ScasNet",
            "The learning rate of the last layers, as a multiple of that of the others. Leave it "
            "empty for 20 as published (vgg with sgd), and 1 elsewhere.",
        ),
        advanced=True,
    )


def _add_machine(algorithm: ScasNetAlgorithm) -> None:
    algorithm.add(
        choice(names.DEVICE, translate("ScasNet", "Device"), names.DEVICES, names.DEVICES[0]),
        translate(
            "ScasNet",
            "What to train on: cuda is an NVIDIA graphics card, auto takes it where there is one.",
        ),
        advanced=True,
    )
    algorithm.add(
        integer(names.THREADS, translate("ScasNet", "Processor threads"), 0, 0, 1024),
        translate("ScasNet", "Processor cores to use; 0 takes all of them."),
        advanced=True,
    )
    algorithm.add(
        integer(names.SEED, translate("ScasNet", "Seed"), 1, 0, 2**31 - 1),
        translate(
            "ScasNet",
            "The number that all chance follows from: the same seed, data and settings on the "
            "same machine give the same model.",
        ),
        advanced=True,
    )
