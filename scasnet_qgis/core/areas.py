"""Ground area of a pixel."""

from __future__ import annotations

from math import cos, radians, sin, sqrt

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
