"""How images and labels of a training find each other, each setting declared once."""

from __future__ import annotations

from dataclasses import dataclass

from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import Choice, FilePath, option

BY_PLACE, BY_ORDER = "place", "order"


@dataclass(frozen=True)
class DataOptions:
    """``match`` is one of BY_PLACE and BY_ORDER; folders are "" where layers are given."""

    match: str = option(
        BY_PLACE,
        "MATCH",
        translate("ScasNet", "Match labels by"),
        translate(
            "ScasNet",
            "place matches labels and images by their coordinates. order pairs the first labels "
            "with the first image, the second with the second and so on, and needs no coordinates "
            "where both have the same size in pixels.",
        ),
        Choice((BY_PLACE, BY_ORDER)),
        advanced=True,
    )
    image_folder: str = option(
        "",
        "IMAGE_FOLDER",
        translate("ScasNet", "Folder of images"),
        translate(
            "ScasNet",
            "Instead of image and label layers: a folder of images, with label rasters of the same "
            "names in another folder. They need no coordinates.",
        ),
        FilePath(folder=True),
        advanced=True,
    )
    label_folder: str = option(
        "",
        "LABEL_FOLDER",
        translate("ScasNet", "Folder of labels"),
        translate(
            "ScasNet", "The labels for the folder of images: class rasters of the same names."
        ),
        FilePath(folder=True),
        advanced=True,
    )
