"""Which pixels of a raster lie in the polygons of a layer."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, ogr

from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import message, translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster import mask_faults
from scasnet_qgis.raster.footprint import Bounds, bounds_of, has_place, outline, reference_of
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.placed_shapes import (
    PlacedShapes,
    envelope_of,
    joined,
    known_reference,
)
from scasnet_qgis.raster.vector_layer import (
    field_names,
    ignore_fields,
    layers_with_geometry,
    read_features,
    reading,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLYGONS = (ogr.wkbPolygon, ogr.wkbCurvePolygon)
_COLLECTIONS = (ogr.wkbMultiPolygon, ogr.wkbMultiSurface, ogr.wkbGeometryCollection)


class AreaOfInterest:
    """The pixels whose centre lies in one of a layer's polygons; a hole is outside.

    ``area`` is the part of the grid that is asked about, all of it by default. Polygons are read
    anew for each window, so that memory holds no more than a few numbers for each of them.
    Raises InputError where no polygon overlaps the area. To be used within a gdal_session, from
    any thread.
    """

    def __init__(
        self,
        source: str,
        grid: Grid,
        *,
        layer: str = "",
        area: Window | None = None,
        progress: Progress | None = None,
    ) -> None:
        if not has_place(grid):
            raise mask_faults.raster_without_place()
        self._source, self._grid = source, grid
        self._area = grid.whole if area is None else area
        self._lock = threading.Lock()  # a layer has one position at a time
        with self._reading():
            self._dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
            self._layer = self._chosen(layer)
            self._reference = known_reference(self._layer)
        progress = progress or Progress()
        self._tell(progress)
        self._shapes = PlacedShapes(source, self._reference, grid)
        self._index: _Index | None = None
        self._window = self._around(progress)

    def window(self) -> Window:
        """A window of the area outside of which no pixel is inside."""
        return self._window

    def inside(self, window: Window) -> NDArray[np.bool_] | None:
        """Which pixels [rows, cols] of a window of the grid are inside; None: all of them.

        Raises InputError where the layer can no longer be read.
        """
        if window.intersect(self._window).empty:
            return np.zeros((window.rows, window.cols), dtype=np.bool_)
        with self._lock, self._reading():
            shapes = ((1, polygon) for polygon in self._polygons(window))
            found = self._shapes.burnt(window, shapes) != 0
        return None if found.all() else found

    def _reading(self) -> AbstractContextManager[None]:
        text = translate(
            "ScasNet",
            "The mask {source} cannot be read: choose another layer, or save it as a GeoPackage.",
        )
        return reading(text, self._source)

    def _chosen(self, name: str) -> ogr.Layer:
        placed = layers_with_geometry(self._dataset)
        fitting = [layer for layer in placed if name in ("", layer.GetName())]
        if len(fitting) != 1:
            raise mask_faults.which_layer(self._source, [layer.GetName() for layer in placed])
        return fitting[0]

    def _tell(self, progress: Progress) -> None:
        """Warn where the layer or the raster does not say where on earth it is."""
        if self._reference is None and self._grid.wkt:
            text = translate(
                "ScasNet",
                "The mask {source} has no coordinate reference system: that of the raster is "
                "assumed.",
            )
            progress.warn(message(text, source=self._source))
        elif self._reference is not None and not self._grid.wkt:
            text = translate(
                "ScasNet",
                "The raster has no coordinate reference system: that of the mask {source} is "
                "assumed.",
            )
            progress.warn(message(text, source=self._source))

    def _around(self, progress: Progress) -> Window:
        """Go once over the features that may touch the area; raises InputError if none does."""
        bounds = self._shapes.bounds(self._area)
        indexed = bool(self._layer.TestCapability(ogr.OLCFastSpatialFilter))
        index = _Index()
        around: Bounds | None = None
        with self._reading():
            for feature in self._features(bounds):
                progress.check()
                for polygon in _polygons_in(feature.GetGeometryRef()):
                    box = envelope_of(polygon)
                    around = joined(around, box)
                    if not indexed:
                        index.add(feature.GetFID(), box)
                if indexed and bounds and around and joined(around, bounds) == around:
                    break  # nothing of the area is left
        window = None if around is None else self._shapes.window(around)
        window = None if window is None else window.intersect(self._area)
        if window is None or window.empty:
            raise self._no_overlap(progress)
        if not indexed and self._layer.TestCapability(ogr.OLCRandomRead):
            self._index = index
        return window

    def _features(self, bounds: Bounds | None) -> Iterator[ogr.Feature]:
        return read_features(self._layer, bounds, field_names(self._layer))

    def _polygons(self, window: Window) -> Iterator[ogr.Geometry]:
        """The polygons that may touch a window."""
        bounds = self._shapes.bounds(window)
        if self._index is None or bounds is None:
            features = self._features(bounds)
        else:
            ignore_fields(self._layer, field_names(self._layer))
            features = (self._layer.GetFeature(number) for number in self._index.touching(bounds))
        for feature in features:
            yield from _polygons_in(feature.GetGeometryRef())

    def _no_overlap(self, progress: Progress) -> InputError:
        """What is wrong with a layer of which nothing lies in the area."""
        features, around, kinds = 0, None, set()
        with self._reading():
            for feature in self._features(None):
                progress.check()
                features += 1
                geometry = feature.GetGeometryRef()
                if geometry is not None and not geometry.IsEmpty():
                    kinds.add(geometry.GetGeometryName())
                for polygon in _polygons_in(geometry):
                    around = joined(around, envelope_of(polygon))
        if around is None:
            return mask_faults.no_polygons(self._source, features, kinds)
        corners = outline(self._grid, self._area)
        here = mask_faults.Place(bounds_of(corners, curved=False), reference_of(self._grid.wkt))
        there = mask_faults.Place(around, self._reference)
        return mask_faults.elsewhere(
            self._source, there, here, is_part=self._area != self._grid.whole
        )


class _Index:
    """Numbers and envelopes of polygons, for layers without an index of their own."""

    def __init__(self) -> None:
        self._numbers, self._boxes = array("q"), array("d")

    def add(self, number: int, box: Bounds) -> None:
        self._numbers.append(number)
        self._boxes.extend(box)

    def touching(self, bounds: Bounds) -> list[int]:
        """Numbers of features with a polygon that may touch the bounds."""
        left, bottom, right, top = np.frombuffer(self._boxes).reshape(-1, 4).T
        touching = (left <= bounds[2]) & (right >= bounds[0])
        touching &= (bottom <= bounds[3]) & (top >= bounds[1])
        numbers = np.frombuffer(self._numbers, dtype=np.int64)[touching]
        return [int(number) for number in np.unique(numbers)]


def _polygons_in(geometry: ogr.Geometry | None) -> Iterator[ogr.Geometry]:
    """The polygons of a geometry one by one; parts that overlap would cancel each other out."""
    if geometry is None or geometry.IsEmpty():
        return
    kind = ogr.GT_Flatten(geometry.GetGeometryType())
    if kind in _POLYGONS:
        yield geometry
    elif kind in _COLLECTIONS:
        for index in range(geometry.GetGeometryCount()):
            yield from _polygons_in(geometry.GetGeometryRef(index))
