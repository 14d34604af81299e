"""Labels on a raster's grid, from a raster of class values or from polygons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import file_of
from scasnet_qgis.labels.label_class import IGNORE, LabelClass
from scasnet_qgis.labels.raster_labels import RasterLabels, raster_classes
from scasnet_qgis.labels.vector_labels import VectorLabels, is_vector, vector_classes
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IGNORE", "LabelClass", "Labels", "classes_of"]


class Labels:
    """Class indices on a grid, window by window.

    ``source`` is a raster of class values, or a vector layer where ``field`` is given. A raster
    is matched by its place on earth (the value in which a pixel's centre lies), or pixel by pixel
    where ``by_place`` is false or neither has a place; then both must have one size. What is no
    value of ``classes``, and the labels' nodata, is IGNORE. Raises InputError.

    To be used within a gdal_session.
    """

    def __init__(
        self,
        source: str,
        grid: Grid,
        classes: Sequence[LabelClass],
        *,
        layer: str = "",
        field: str = "",
        by_place: bool = True,
    ) -> None:
        self._labels: RasterLabels | VectorLabels
        if _is_vector(source, layer, field):
            self._labels = VectorLabels(source, grid, classes, layer, field)
        else:
            self._labels = RasterLabels(source, grid, classes, by_place=by_place)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Positions in the list of classes [rows, cols], or IGNORE."""
        return self._labels.read(window)

    def labelled_window(self) -> Window | None:
        """A window of the grid outside of which there is no label; None: there is none at all."""
        return self._labels.labelled_window()


def classes_of(
    source: str, *, layer: str = "", field: str = "", progress: Progress | None = None
) -> list[LabelClass]:
    """The classes of labels with their names and colours, ordered by value.

    Of a raster those that its category names or its attribute table name, else the values that
    occur; of a vector layer the values of ``field``. A class whose name says that it is none
    ("unlabelled", "no data" ...) is left out. Raises InputError where there are more than a map
    can hold, or where the labels cannot be read.
    """
    progress = progress or Progress()
    with gdal_session():
        if _is_vector(source, layer, field):
            return vector_classes(source, layer, field, progress)
        return raster_classes(source, progress)


def _is_vector(source: str, layer: str, field: str) -> bool:
    if not field and (layer or (is_vector(file_of(source)) and not _is_raster(source))):
        raise InputError(
            translate("ScasNet", "Labels {source} are a vector layer: choose the class field."),
            source=source,
        )
    return bool(field)


def _is_raster(source: str) -> bool:
    try:
        return gdal.OpenEx(file_of(source), gdal.OF_RASTER) is not None
    except RuntimeError:
        return False
