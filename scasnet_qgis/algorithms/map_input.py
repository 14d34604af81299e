"""The map raster and extent parameters, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext

from scasnet_qgis.algorithms.input_parameters import EXTENT, MAP
from scasnet_qgis.algorithms.layers import classes_in_legend, raster_path
from scasnet_qgis.core.errors import InputError, SettingError
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.i18n import translate
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.raster.matching import has_names


@dataclass(frozen=True)
class MapInput:
    """``extent`` is in the map's coordinates; ``legend`` are the classes that QGIS shows."""

    path: str = ""
    wkt: str = ""
    extent: tuple[float, float, float, float] | None = None
    legend: tuple[LabelClass, ...] = ()

    def classes(self, progress: Progress) -> tuple[LabelClass, ...]:
        """The classes that the file names; of a file without names those of the legend.

        Where neither has names, the values that occur: finding them reads the map.
        """
        found = tuple(classes_of(self.path, progress=progress))
        return self.legend if has_names(self.legend) and not has_names(found) else found


def read_map(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> MapInput:
    """Call it in the main thread; raises InputError and SettingError."""
    layer = algorithm.parameterAsRasterLayer(parameters, MAP, context)
    if layer is None:
        raise InputError(translate("ScasNet", "The map cannot be opened: choose a raster file."))
    path = raster_path(layer)
    wkt = layer.crs().toWkt() if layer.crs().isValid() else ""
    extent = None
    if parameters.get(EXTENT) not in (None, ""):
        box = algorithm.parameterAsExtent(parameters, EXTENT, context, layer.crs())
        if box.isNull():
            raise SettingError(
                translate("ScasNet", "The extent is empty: choose another extent, or none.")
            )
        extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    return MapInput(path, wkt, extent, tuple(classes_in_legend(layer, "")))
