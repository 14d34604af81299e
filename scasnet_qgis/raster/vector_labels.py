"""Labels of a vector layer, rasterized window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from osgeo import ogr

from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.class_field import ClassField
from scasnet_qgis.raster.footprint import Bounds
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.label_class import IGNORE, LabelClass, reading_labels, value_text
from scasnet_qgis.raster.placed_shapes import PlacedShapes, envelope_of, joined, known_reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLYGONS = (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbCurvePolygon, ogr.wkbMultiSurface)
_POINTS = (ogr.wkbPoint, ogr.wkbMultiPoint)


class VectorLabels:
    """Windows of polygons (or points, a pixel each) on a raster's grid.

    A pixel gets the class of the polygon in which its centre lies; of several the one that comes
    last in the layer.
    """

    def __init__(
        self, source: str, grid: Grid, classes: Sequence[LabelClass], layer: str, field: str
    ) -> None:
        self._grid, self._field = grid, ClassField(source, layer, field)
        self._source = source
        self._class_index = {value_text(label.value): index for index, label in enumerate(classes)}
        self._class_index.pop("", None)
        self._shapes = PlacedShapes(source, known_reference(self._field.layer), grid)

    def labelled_window(self) -> Window | None:
        """Around all features with a known class that may touch the grid."""
        bounds: Bounds | None = None
        with reading_labels(self._source):
            for _, _, geometry in self._labelled_features(self._shapes.bounds(self._grid.whole)):
                bounds = joined(bounds, envelope_of(geometry))
        return None if bounds is None else self._shapes.window(bounds)

    def _labelled_features(self, bounds: Bounds | None) -> Iterator[tuple[int, int, ogr.Geometry]]:
        """Number, class and geometry of features that carry a class."""
        for feature in self._field.features(bounds):
            index = self._class_index.get(self._field.value(feature))
            geometry = feature.GetGeometryRef()
            if index is None or geometry is None or geometry.IsEmpty():
                continue
            if ogr.GT_Flatten(geometry.GetGeometryType()) in _POLYGONS + _POINTS:
                yield feature.GetFID(), index, geometry.Clone()

    def read(self, window: Window) -> NDArray[np.uint8]:
        with reading_labels(self._source):
            # An index of the layer gives its features in any order.
            found = sorted(
                self._labelled_features(self._shapes.bounds(window)), key=lambda shape: shape[0]
            )
            shapes = ((index, geometry) for _, index, geometry in found)
            return self._shapes.burnt(window, shapes, IGNORE)
