"""Drops vertices of polygons that lie far outside a window, before they are rasterized."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
from osgeo import ogr

from scasnet_qgis.raster.footprint import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY = 1000  # corners from which on it is worth while
_WKB_HEADER = struct.Struct("<BII")  # byte order, type, count of rings
_WKB_COUNT = struct.Struct("<I")


def thinned(geometry: ogr.Geometry, bounds: Bounds) -> ogr.Geometry:
    """A geometry that is the same in the bounds; only plain polygons with many corners change.

    GDAL visits each edge of a polygon for each row of pixels: the time would grow with the
    coastline of a whole country.
    """
    if ogr.GT_Flatten(geometry.GetGeometryType()) != ogr.wkbPolygon:
        return geometry
    rings = range(geometry.GetGeometryCount())
    if sum(geometry.GetGeometryRef(index).GetPointCount() for index in rings) < MANY:
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
