"""Rasterizes the geometries of a vector layer onto windows of a grid."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, ogr, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.grid import NO_PLACE, Grid
from scasnet_qgis.labels.vectors.grid_transform import (
    Bounds,
    bounds_of,
    outline,
    outline_of,
    reference_of,
    transformation,
    transformed,
    window_around,
)
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = tuple[int, ogr.Geometry]  # the value to burn, 0-255, and where; in the layer's coordinates

_UNDEFINED_CRS = "Undefined"  # a GeoPackage cannot but name some reference system
_VALUE = "value"
_BATCH = 1000  # shapes that are held in memory at a time
# Geometries are reprojected before GDAL rasterizes them, so it must find nothing to transform.
_PLANE_WKT = 'LOCAL_CS["grid",UNIT["metre",1]]'


def crs_of_layer(layer: ogr.Layer) -> osr.SpatialReference | None:
    """A layer's reference system as the layer gives it: it says which coordinate is which."""
    layer_crs = layer.GetSpatialRef()
    return (
        None
        if layer_crs is None or (layer_crs.GetName() or "").startswith(_UNDEFINED_CRS)
        else layer_crs
    )


class ShapeRasterizer:
    """The way from a layer's coordinates to a grid and back.

    ``layer_crs`` is the layer's reference system; None is taken for the grid's. ``source`` is the
    layer's name in errors.
    """

    def __init__(self, source: str, layer_crs: osr.SpatialReference | None, grid: Grid) -> None:
        self._source, self._grid = source, grid
        grid_crs = reference_of(grid.wkt if grid.geotransform is not None else "")
        self._to_grid = transformation(layer_crs, grid_crs)
        self._to_layer = transformation(grid_crs, layer_crs)
        self._clip = self._clip_bounds()

    def _clip_bounds(self) -> Bounds | None:
        """Three times the grid's size each way, in the layer's coordinates."""
        bounds = self.bounds(self._grid.whole)
        if bounds is None:
            return None
        left, bottom, right, top = bounds
        wide, high = right - left, top - bottom
        return left - wide, bottom - high, right + 2 * wide, top + 2 * high

    def bounds(self, window: Window) -> Bounds | None:
        """The window in the layer's coordinates; None where they do not reach so far."""
        points = transformed(outline(self._grid, window), self._to_layer)
        return bounds_of(points, curved=self._to_layer is not None) if points else None

    def window(self, around: Bounds) -> Window | None:
        """The part of the grid that bounds in the layer's coordinates may touch; None: nothing."""
        if self._clip is not None:
            low, high = np.maximum(around, self._clip), np.minimum(around, self._clip)
            around = (float(low[0]), float(low[1]), float(high[2]), float(high[3]))
        points = transformed(outline_of(around), self._to_grid)
        if not points:
            return self._grid.whole
        found = window_around(self._grid, points, curved=self._to_grid is not None)
        return found.grow(1).intersect(self._grid.whole) if found else None

    def burnt(
        self, window: Window, shapes: Iterable[Shape], background: int = 0
    ) -> NDArray[np.uint8]:
        """Values [rows, cols] of the shapes that hold the pixels' centres; of several the last."""
        remaining = iter(shapes)
        first = next(remaining, None)
        if first is None:
            return np.full((window.rows, window.cols), background, dtype=np.uint8)
        raster = gdal.GetDriverByName("MEM").Create("", window.cols, window.rows, 1)
        raster.SetGeoTransform(self._grid.part(window).geotransform or NO_PLACE)
        raster.SetProjection(_PLANE_WKT)
        raster.GetRasterBand(1).Fill(background)
        remaining = chain((first,), remaining)
        bounds = bounds_of(outline(self._grid, window), curved=False)
        while self._burn(raster, islice(remaining, _BATCH), bounds) == _BATCH:
            pass
        pixels: NDArray[np.uint8] = raster.GetRasterBand(1).ReadAsArray()
        return pixels

    def _burn(self, raster: gdal.Dataset, shapes: Iterator[Shape], bounds: Bounds) -> int:
        """Burn shapes and count them; ``bounds`` are those of the raster."""
        plane = osr.SpatialReference(_PLANE_WKT)
        file = _memory().CreateDataSource("")
        layer = file.CreateLayer("shapes", plane, ogr.wkbUnknown)
        layer.CreateField(ogr.FieldDefn(_VALUE, ogr.OFTInteger))
        count = 0
        for value, geometry in shapes:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField(_VALUE, value)
            projected = self._to_grid_crs(geometry.GetLinearGeometry())
            feature.SetGeometry(clip_far_vertices(projected, bounds))
            layer.CreateFeature(feature)
            count += 1
        if count:
            gdal.RasterizeLayer(raster, [1], layer, options=[f"ATTRIBUTE={_VALUE}"])
        return count

    def _to_grid_crs(self, geometry: ogr.Geometry) -> ogr.Geometry:
        """The geometry in the grid's system, without what lies far from the grid.

        A corner on the other side of the earth would come out anywhere, without an error.
        """
        if self._to_grid is None:
            return geometry
        try:
            if self._clip is not None and not _within(geometry, self._clip):
                geometry = geometry.Intersection(_rectangle(self._clip))
            if geometry.Transform(self._to_grid) != ogr.OGRERR_NONE:
                raise RuntimeError(gdal.GetLastErrorMsg())
        except (RuntimeError, AttributeError) as error:
            raise InputError(
                translate(
                    "ScasNet",
                    "A polygon of {source} cannot be transformed to the CRS of the "
                    "raster: use Fix geometries, or clip it to the raster.",
                ),
                str(error),
                source=self._source,
            ) from error
        return geometry


def envelope_of(geometry: ogr.Geometry) -> Bounds:
    """The rectangle around a geometry, in the order of Bounds."""
    left, right, bottom, top = geometry.GetEnvelope()
    return left, bottom, right, top


def joined(one: Bounds | None, other: Bounds) -> Bounds:
    """The rectangle around both."""
    if one is None:
        return other
    return (
        min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
    )  # fmt: skip


def _within(geometry: ogr.Geometry, clip: Bounds) -> bool:
    return joined(envelope_of(geometry), clip) == clip


def _rectangle(bounds: Bounds) -> ogr.Geometry:
    left, bottom, right, top = bounds
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for x, y in ((left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)):
        ring.AddPoint_2D(x, y)
    found = ogr.Geometry(ogr.wkbPolygon)
    found.AddGeometry(ring)
    return found


def _memory() -> ogr.Driver:
    """OGR's driver of layers in memory; GDAL 3.11 gave its work to another one."""
    return ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")


MIN_VERTICES = 1000  # corners from which on it is worth while
_WKB_HEADER = struct.Struct("<BII")  # byte order, type, count of rings
_WKB_COUNT = struct.Struct("<I")


def clip_far_vertices(geometry: ogr.Geometry, bounds: Bounds) -> ogr.Geometry:
    """A geometry that is the same in the bounds; only plain polygons with many corners change.

    GDAL visits each edge of a polygon for each row of pixels: the time would grow with the
    coastline of a whole country.
    """
    if ogr.GT_Flatten(geometry.GetGeometryType()) != ogr.wkbPolygon:
        return geometry
    rings = range(geometry.GetGeometryCount())
    if sum(geometry.GetGeometryRef(index).GetPointCount() for index in rings) < MIN_VERTICES:
        return geometry
    geometry.FlattenTo2D()
    found = [_clipped_ring(ring, bounds) for ring in _rings(geometry)]
    kept = [ring for ring in found if len(ring) > 3]
    parts = (_WKB_COUNT.pack(len(ring)) + ring.astype("<f8").tobytes() for ring in kept)
    return ogr.CreateGeometryFromWkb(
        _WKB_HEADER.pack(1, ogr.wkbPolygon, len(kept)) + b"".join(parts)
    )


def _rings(polygon: ogr.Geometry) -> list[NDArray[np.float64]]:
    """The corners [n, 2] of each ring."""
    content = bytes(polygon.ExportToWkb(ogr.wkbNDR))
    _, _, count = _WKB_HEADER.unpack_from(content)
    offset, rings = _WKB_HEADER.size, []
    for _ in range(count):
        (corners,) = _WKB_COUNT.unpack_from(content, offset)
        offset += _WKB_COUNT.size
        rings.append(np.frombuffer(content, "<f8", 2 * corners, offset).reshape(-1, 2))
        offset += 16 * corners
    return rings


def _clipped_ring(xy: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float64]:
    """Without corners beyond one side of the bounds whose neighbours lie there, too.

    What joins the neighbours instead stays beyond that side, and so does what lies between.
    """
    for axis, limit, sign in ((0, 0, -1), (1, 1, -1), (0, 2, 1), (1, 3, 1)):
        beyond = sign * xy[:, axis] > sign * bounds[limit]
        drop = np.zeros(len(xy), dtype=np.bool_)
        drop[1:-1] = beyond[:-2] & beyond[1:-1] & beyond[2:]
        xy = xy[~drop]
    return xy
