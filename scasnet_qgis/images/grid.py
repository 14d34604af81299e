"""The pixel grid of a raster: geotransform, reference system, pixel size and ground area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, cos, floor, hypot, isfinite, radians, sin, sqrt

from osgeo import gdal, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.tiling.windows import Window

_MERCATOR_LIMIT = 1e8  # map units; every Mercator map of the earth ends before
_TOLERANCE = 0.01  # pixels; QGIS rounds an extent to 4 decimals, of degrees to 9
NO_PLACE: tuple[float, ...] = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)  # as QGIS shows such a raster


@dataclass(frozen=True)
class ControlPoint:
    """A ground control point: a place in pixels, and the same place on the map."""

    row: float
    col: float
    x: float
    y: float
    z: float
    name: str = ""


@dataclass(frozen=True)
class Grid:
    """Size in pixels, geotransform and coordinate reference system (WKT, "" for none).

    The geotransform may be south-up or rotated; it is None where the raster has no position, or one
    by control points only, whose reference system ``wkt`` is then.
    """

    rows: int
    cols: int
    geotransform: tuple[float, ...] | None
    wkt: str = ""
    control: tuple[ControlPoint, ...] = ()

    @classmethod
    def of(cls, dataset: gdal.Dataset) -> Grid:
        """The grid of an open raster; a geotransform that cannot be inverted is left out."""
        rows, cols = dataset.RasterYSize, dataset.RasterXSize
        geotransform = dataset.GetGeoTransform(can_return_null=True)
        if geotransform is not None and is_regular(geotransform):
            return cls(rows, cols, tuple(geotransform), dataset.GetProjection() or "")
        points = dataset.GetGCPs() or ()
        control = tuple(
            ControlPoint(
                point.GCPLine, point.GCPPixel, point.GCPX, point.GCPY, point.GCPZ, point.Id
            )
            for point in points
        )
        wkt = (dataset.GetGCPProjection() if control else "") or dataset.GetProjection() or ""
        return cls(rows, cols, None, wkt, control)

    @property
    def whole(self) -> Window:
        return Window(0, 0, self.rows, self.cols)

    def to_map(self, row: float, col: float) -> tuple[float, float]:
        """Map coordinates (x, y) of a place given in pixels."""
        t = self.geotransform or NO_PLACE
        return t[0] + col * t[1] + row * t[2], t[3] + col * t[4] + row * t[5]

    def part(self, window: Window) -> Grid:
        """The grid of a window of this one."""
        geotransform = self.geotransform
        if geotransform is not None:
            x, y = self.to_map(window.row, window.col)
            geotransform = (x, *geotransform[1:3], y, *geotransform[4:])
        elif window != self.whole and not self.control:
            geotransform = (float(window.col), 1.0, 0.0, -float(window.row), 0.0, -1.0)
        control = tuple(
            replace(point, row=point.row - window.row, col=point.col - window.col)
            for point in self.control
        )
        return Grid(window.rows, window.cols, geotransform, self.wkt, control)

    def window_of(self, x_min: float, y_min: float, x_max: float, y_max: float) -> Window:
        """The pixels that an extent in map coordinates touches; raises InputError if none."""
        inside = self._touched_window(x_min, y_min, x_max, y_max).intersect(self.whole)
        if inside.empty:
            raise self._outside_error()
        return inside

    def share_of(self, x_min: float, y_min: float, x_max: float, y_max: float) -> float | None:
        """How much of an extent, of which some does, lies on the raster (0 to 1).

        None where the raster is rotated: pixels that the extent touches are not all in it then.
        """
        t = self.geotransform or NO_PLACE
        if t[2] or t[4]:
            return None
        wanted = self._touched_window(x_min, y_min, x_max, y_max)
        inside = wanted.intersect(self.whole)
        return inside.rows * inside.cols / (wanted.rows * wanted.cols)

    def _touched_window(self, x_min: float, y_min: float, x_max: float, y_max: float) -> Window:
        """The pixels that an extent touches, also where the raster does not reach."""
        if self.control:
            raise InputError(
                translate(
                    "ScasNet",
                    "The raster has only ground control points: leave the extent "
                    "empty, or warp the raster first (Raster > Projections > Warp).",
                )
            )
        inverse = list(inverse_of(self))
        corners = [
            gdal.ApplyGeoTransform(inverse, x, y) for x in (x_min, x_max) for y in (y_min, y_max)
        ]
        cols, rows = [col for col, _ in corners], [row for _, row in corners]
        row, col = floor(min(rows) + _TOLERANCE), floor(min(cols) + _TOLERANCE)
        return Window(
            row, col, ceil(max(rows) - _TOLERANCE) - row, ceil(max(cols) - _TOLERANCE) - col
        )

    def _outside_error(self) -> InputError:
        """For an extent that touches no pixel: where the raster lies."""
        corners = [self.to_map(row, col) for row in (0, self.rows) for col in (0, self.cols)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        text = translate(
            "ScasNet",
            "The extent is outside the raster (x {x_min:.10g} to {x_max:.10g}, y "
            "{y_min:.10g} to {y_max:.10g}, {reference}): choose one that overlaps it.",
        )
        return InputError(
            text,
            x_min=min(xs),
            x_max=max(xs),
            y_min=min(ys),
            y_max=max(ys),
            reference=self.reference_name,
        )

    @property
    def reference_name(self) -> Message:
        """What the coordinates are counted in, for people."""
        reference = self._reference
        name = reference.GetName() if reference is not None else None
        if not name:
            return message(translate("ScasNet", "an unknown coordinate reference system"))
        return message("{name}", name=name)

    @property
    def _reference(self) -> osr.SpatialReference | None:
        if not self.wkt or self.geotransform is None:
            return None
        reference = osr.SpatialReference()
        reference.ImportFromWkt(self.wkt)
        return reference

    @property
    def area_unit(self) -> str:
        """ "m2" where the reference system has a unit of length."""
        if self.geotransform is None:
            return "pixels"
        return "m2" if self.metres_per_unit(0.0) is not None else "map units squared"

    def metres_per_unit(self, row: float) -> tuple[float, float] | None:
        """Metres on the ground per map unit in y and x near a row; None if unknown."""
        reference = self._reference
        if reference is None:
            return None
        if reference.IsGeographic():
            return metres_per_degree(self.to_map(row, self.cols / 2)[1])
        if reference.IsProjected() or reference.IsLocal():
            factor = reference.GetLinearUnits() * self._ground_scale(reference, row)
            return factor, factor
        return None

    def _ground_scale(self, reference: osr.SpatialReference, row: float) -> float:
        """Length on the ground of a length of 1 on the map.

        Mercator, which web maps come in, stretches by k0 / cos(latitude) both ways (Snyder 1987,
        p. 44), where k0 is the scale factor or the cosine of the standard parallel; what other
        projections do to lengths is left out, as in QGIS's planimetric areas.
        """
        if not (reference.GetAttrValue("PROJECTION") or "").startswith("Mercator"):
            return 1.0
        x, y = self.to_map(row, self.cols / 2)
        if abs(y) > _MERCATOR_LIMIT:  # no place on earth, and PROJ would search for it for minutes
            return 1.0
        parallel = reference.GetProjParm("standard_parallel_1", 0.0)
        scale = reference.GetProjParm("scale_factor", 1.0) * cos(radians(parallel))
        geographic = reference.CloneGeogCS()
        for system in (reference, geographic):
            system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        transformation = osr.CoordinateTransformation(reference, geographic)
        _, latitude, _ = transformation.TransformPoint(x, y)
        return cos(radians(latitude)) / scale

    def pixel_area(self, row: float) -> float:
        """Ground area of one pixel at ``row``, in ``area_unit``."""
        t = self.geotransform or NO_PLACE
        y, x = self.metres_per_unit(row) or (1.0, 1.0)
        return abs(t[1] * t[5] - t[2] * t[4]) * y * x

    @property
    def resolution(self) -> float | None:
        """Ground resolution in metres per pixel at the raster's centre; None if unknown."""
        lengths = self.pixel_lengths
        return None if lengths is None else float((lengths[0] * lengths[1]) ** 0.5)

    @property
    def pixel_lengths(self) -> tuple[float, float] | None:
        """Metres from a row and a column to the next at the raster's centre; None if unknown."""
        units = self.metres_per_unit(self.rows / 2)
        if units is None or self.geotransform is None:
            return None
        y, x = units
        t = self.geotransform
        return hypot(t[2] * x, t[5] * y), hypot(t[1] * x, t[4] * y)


def is_regular(geotransform: Sequence[float]) -> bool:
    """Whether every pixel has a place and an area of its own."""
    if not all(map(isfinite, geotransform)):
        return False
    return gdal.InvGeoTransform(geotransform) is not None


def inverse_of(grid: Grid) -> tuple[float, ...]:
    """The geotransform from map coordinates to columns and rows; raises InputError for none."""
    inverse = gdal.InvGeoTransform(grid.geotransform or NO_PLACE)
    if inverse is None:
        raise InputError(
            translate("ScasNet", "The raster has an invalid geotransform: georeference it first.")
        )
    return tuple(inverse)


WGS84_MAJOR_AXIS = 6378137.0  # metres
WGS84_ECCENTRICITY_SQUARED = 6.69437999014e-3


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Length in metres of one degree of latitude and of longitude at ``latitude`` (degrees).

    Radii of curvature of the WGS84 ellipsoid: in the meridian a (1 - e2) / w^3, in the prime
    vertical a / w, with w = sqrt(1 - e2 sin^2 latitude) (Snyder 1987, Map Projections, p. 24).
    """
    phi = radians(max(-90.0, min(90.0, latitude)))
    w = sqrt(1.0 - WGS84_ECCENTRICITY_SQUARED * sin(phi) ** 2)
    meridian = WGS84_MAJOR_AXIS * (1.0 - WGS84_ECCENTRICITY_SQUARED) / w**3
    return radians(1.0) * meridian, radians(1.0) * WGS84_MAJOR_AXIS / w * cos(phi)
