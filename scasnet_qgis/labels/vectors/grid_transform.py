"""Transforms windows and bounds from one grid to another, also between reference systems."""

from __future__ import annotations

from math import ceil, floor, isfinite
from typing import Any

from osgeo import gdal, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.grid import NO_PLACE, Grid, inverse_of
from scasnet_qgis.tiling.windows import Window

Point = tuple[float, float]
Bounds = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max

_EDGE_POINTS = 20  # an edge becomes a curve in another reference system; so many chords follow it
_CURVE_MARGIN = 0.01  # what a curve may lie outside its chords, as a share of the outline's size
_IDENTITY = ((0.0, 1.0, 0.0, 0.0, 0.0, 1.0), NO_PLACE)


def has_place(grid: Grid) -> bool:
    """Whether a grid lies anywhere on earth; some programs write a geotransform of pixels."""
    geotransform = grid.geotransform
    return geotransform is not None and (bool(grid.wkt) or geotransform not in _IDENTITY)


def reference_of(wkt: str) -> osr.SpatialReference | None:
    """The reference system of a WKT, with x before y as in a geotransform."""
    if not wkt:
        return None
    reference = osr.SpatialReference()
    reference.ImportFromWkt(wkt)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


def transformation(
    source: osr.SpatialReference | None, target: osr.SpatialReference | None
) -> osr.CoordinateTransformation | None:
    """None where both are the same, or where one is not known and is taken for the other."""
    if source is None or target is None or source.IsSame(target):
        return None
    try:
        transform = osr.CoordinateTransformation(source, target)
    except RuntimeError as error:
        raise _no_transformation(str(error)) from error
    if getattr(transform, "this", None) is None:  # without GDAL's exceptions
        raise _no_transformation("")
    return transform


def _no_transformation(detail: str) -> InputError:
    return InputError(
        translate(
            "ScasNet",
            "The layer cannot be transformed to the CRS of the raster: reproject the layer first.",
        ),
        detail,
    )


def outline(grid: Grid, window: Window) -> list[Point]:
    """Points around a window in the grid's map coordinates."""
    corners: list[Point] = [
        (window.row, window.col),
        (window.row, window.col_end),
        (window.row_end, window.col_end),
        (window.row_end, window.col),
    ]
    return [grid.to_map(*corner) for corner in _densified(corners)]


def outline_of(bounds: Bounds) -> list[Point]:
    """Points around a rectangle in map coordinates."""
    left, bottom, right, top = bounds
    return _densified([(left, bottom), (right, bottom), (right, top), (left, top)])


def _densified(corners: list[Point]) -> list[Point]:
    return [
        (a[0] + (b[0] - a[0]) * step / _EDGE_POINTS, a[1] + (b[1] - a[1]) * step / _EDGE_POINTS)
        for a, b in zip(corners, [*corners[1:], corners[0]])
        for step in range(_EDGE_POINTS)
    ]


def transformed(points: list[Point], transform: osr.CoordinateTransformation | None) -> list[Point]:
    """Points in the other system; an empty list where one of them cannot be transformed."""
    if transform is None:
        return points
    try:
        moved_points: list[Any] = transform.TransformPoints(points)
    except RuntimeError:  # this, or infinity, depending on GDAL's version
        return []
    moved = [(float(x), float(y)) for x, y, *_ in moved_points]
    return moved if all(isfinite(x) and isfinite(y) for x, y in moved) else []


def bounds_of(points: list[Point], *, curved: bool) -> Bounds:
    """The rectangle around points; ``curved``: with room for what the chords cut off."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    margin = _CURVE_MARGIN * max(max(xs) - min(xs), max(ys) - min(ys)) if curved else 0.0
    return min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin


def window_around(grid: Grid, points: list[Point], *, curved: bool) -> Window | None:
    """The smallest window of the grid around map coordinates; None where they lie outside."""
    inverse = inverse_of(grid)
    pixels = [tuple(gdal.ApplyGeoTransform(list(inverse), x, y)) for x, y in points]
    left, top, right, bottom = bounds_of(pixels, curved=curved)
    row, col = floor(top), floor(left)
    found = Window(row, col, ceil(bottom) - row, ceil(right) - col).intersect(grid.whole)
    return None if found.empty else found


def window_on(target: Grid, source: Grid, window: Window) -> Window | None:
    """A window of ``target`` that holds what ``window`` of ``source`` shows; None if nothing.

    It may be too large where grids are rotated or differ in their reference system, and is all of
    the target where the place of the source cannot be expressed in its system.
    """
    transform = transformation(reference_of(source.wkt), reference_of(target.wkt))
    points = transformed(outline(source, window), transform)
    return window_around(target, points, curved=transform is not None) if points else target.whole
