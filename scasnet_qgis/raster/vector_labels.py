"""Labels in a vector layer, burnt onto a raster's grid window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, ogr, osr

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.class_field import ClassField
from scasnet_qgis.raster.footprint import (
    Bounds,
    bounds_of,
    outline,
    outline_of,
    reference_of,
    transformation,
    transformed,
    window_around,
)
from scasnet_qgis.raster.grid import NO_PLACE, Grid
from scasnet_qgis.raster.label_class import IGNORE, LabelClass, reading_labels, value_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AREAS = (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbCurvePolygon, ogr.wkbMultiSurface)
_POINTS = (ogr.wkbPoint, ogr.wkbMultiPoint)
_NO_REFERENCE = "Undefined"  # a GeoPackage cannot but name some reference system
_VALUE = "value"
# Geometries come to the grid's system before they are burnt; GDAL is to see nothing to transform.
_PLANE = 'LOCAL_CS["grid",UNIT["metre",1]]'


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
        self._index = {value_text(each.value): index for index, each in enumerate(classes)}
        self._index.pop("", None)
        on_earth = grid.wkt if grid.geotransform is not None else ""
        # As the layer gives it: it says itself which of its coordinates is which.
        own, other = self._field.layer.GetSpatialRef(), reference_of(on_earth)
        if own is not None and (own.GetName() or "").startswith(_NO_REFERENCE):
            own = None
        self._way = transformation(own, other)
        self._way_back = transformation(other, own)
        self._limits = self._far_around()

    def _far_around(self) -> ogr.Geometry | None:
        """Three times the grid's size each way, in the layer's coordinates."""
        bounds = self._bounds(self._grid.whole)
        if bounds is None:
            return None
        left, bottom, right, top = bounds
        high, wide = top - bottom, right - left
        ring = ogr.Geometry(ogr.wkbLinearRing)
        for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)):
            ring.AddPoint_2D(left - wide + 3 * x * wide, bottom - high + 3 * y * high)
        found = ogr.Geometry(ogr.wkbPolygon)
        found.AddGeometry(ring)
        return found

    def labelled_window(self) -> Window | None:
        """Around all features with a known class that may touch the grid."""
        around: Bounds | None = None
        with reading_labels(self._source):
            for _, _, geometry in self._known(self._bounds(self._grid.whole)):
                left, right, bottom, top = geometry.GetEnvelope()
                box = around or (left, bottom, right, top)
                around = (
                    min(left, box[0]), min(bottom, box[1]), max(right, box[2]), max(top, box[3])
                )  # fmt: skip
        if around is None:
            return None
        if self._limits is not None:
            low_x, high_x, low_y, high_y = self._limits.GetEnvelope()
            around = (
                max(around[0], low_x), max(around[1], low_y),
                min(around[2], high_x), min(around[3], high_y),
            )  # fmt: skip
        points = transformed(outline_of(around), self._way)
        if not points:
            return self._grid.whole
        found = window_around(self._grid, points, curved=self._way is not None)
        return found.grow(1).intersect(self._grid.whole) if found else None

    def _bounds(self, window: Window) -> Bounds | None:
        """The window in the layer's coordinates; None where they do not reach so far."""
        points = transformed(outline(self._grid, window), self._way_back)
        return bounds_of(points, curved=self._way_back is not None) if points else None

    def _known(self, bounds: Bounds | None) -> Iterator[tuple[int, int, ogr.Geometry]]:
        """Number, class and geometry of features that carry a class."""
        for feature in self._field.features(bounds):
            index = self._index.get(self._field.value(feature))
            geometry = feature.GetGeometryRef()
            if index is None or geometry is None or geometry.IsEmpty():
                continue
            if ogr.GT_Flatten(geometry.GetGeometryType()) in _AREAS + _POINTS:
                yield feature.GetFID(), index, geometry.Clone()

    def read(self, window: Window) -> NDArray[np.uint8]:
        with reading_labels(self._source):
            # An index of the layer gives its features in any order.
            found = sorted(self._known(self._bounds(window)), key=lambda each: each[0])
            if not found:
                return np.full((window.rows, window.cols), IGNORE, dtype=np.uint8)
            return self._burnt(window, [(index, each) for _, index, each in found])

    def _burnt(self, window: Window, found: list[tuple[int, ogr.Geometry]]) -> NDArray[np.uint8]:
        plane = osr.SpatialReference(_PLANE)
        place = self._grid.part(window).geotransform or NO_PLACE
        raster = gdal.GetDriverByName("MEM").Create("", window.cols, window.rows, 1)
        raster.SetGeoTransform(place)
        raster.SetProjection(_PLANE)
        raster.GetRasterBand(1).Fill(IGNORE)
        shapes = _memory().CreateDataSource("")
        layer = shapes.CreateLayer("shapes", plane, ogr.wkbUnknown)
        layer.CreateField(ogr.FieldDefn(_VALUE, ogr.OFTInteger))
        for index, geometry in found:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField(_VALUE, index)
            feature.SetGeometry(self._brought_here(geometry.GetLinearGeometry()))
            layer.CreateFeature(feature)
        gdal.RasterizeLayer(raster, [1], layer, options=[f"ATTRIBUTE={_VALUE}"])
        return raster.GetRasterBand(1).ReadAsArray()

    def _brought_here(self, geometry: ogr.Geometry) -> ogr.Geometry:
        """The geometry in the grid's system, without what lies far from the grid.

        A corner on the other side of the earth would come out anywhere, without an error.
        """
        if self._way is None:
            return geometry
        try:
            if self._limits is not None and not geometry.Within(self._limits):
                geometry = geometry.Intersection(self._limits)
            if geometry.Transform(self._way) != ogr.OGRERR_NONE:
                raise RuntimeError(gdal.GetLastErrorMsg())
        except (RuntimeError, AttributeError) as error:
            raise InputError(
                translate(
                    "ScasNet",
                    "A polygon of {source} cannot be brought to the raster's coordinate reference "
                    "system: repair it with Vector geometry > Fix geometries, or clip it to the "
                    "raster.",
                ),
                str(error),
                source=self._source,
            ) from error
        return geometry


def _memory() -> ogr.Driver:
    """OGR's driver of layers in memory; GDAL 3.11 gave its work to another one."""
    return ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")
