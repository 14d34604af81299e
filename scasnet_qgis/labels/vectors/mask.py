"""The mask layer: which pixels have their centre in one of its polygons, and its digest."""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

import numpy as np
from osgeo import gdal, ogr, osr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.vectors.burning import ShapeRasterizer, crs_of_layer, envelope_of, joined
from scasnet_qgis.labels.vectors.grid_transform import (
    Bounds,
    bounds_of,
    has_place,
    outline,
    reference_of,
)
from scasnet_qgis.labels.vectors.layer import (
    field_names,
    ignore_fields,
    layers_with_geometry,
    read_features,
    reading,
)
from scasnet_qgis.tiling.windows import Window

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
            raise InputError(
                translate(
                    "ScasNet",
                    "The raster is not georeferenced: remove the mask, or use the "
                    "Georeferencer first.",
                )
            )
        self._source, self._grid = source, grid
        self._area = grid.whole if area is None else area
        self._lock = threading.Lock()  # a layer has one position at a time
        with _reading(self._source):
            self._dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
            self._layer = self._choose_layer(layer)
            self._reference = crs_of_layer(self._layer)
        progress = progress or Progress()
        self._warn_without_crs(progress)
        self._shapes = ShapeRasterizer(source, self._reference, grid)
        self._envelopes: _EnvelopeIndex | None = None
        self._covered = self._covered_window(progress)

    def window(self) -> Window:
        """A window of the area outside of which no pixel is inside."""
        return self._covered

    def inside(self, window: Window) -> NDArray[np.bool_] | None:
        """Which pixels [rows, cols] of a window of the grid are inside; None: all of them.

        Raises InputError where the layer can no longer be read.
        """
        if window.intersect(self._covered).empty:
            return np.zeros((window.rows, window.cols), dtype=np.bool_)
        with self._lock, _reading(self._source):
            shapes = ((1, polygon) for polygon in self._polygons(window))
            covered = self._shapes.burnt(window, shapes) != 0
        return None if covered.all() else covered

    def _choose_layer(self, name: str) -> ogr.Layer:
        layers = layers_with_geometry(self._dataset)
        matching = [layer for layer in layers if name in ("", layer.GetName())]
        if len(matching) != 1:
            raise InputError(
                translate("ScasNet", "Choose the mask layer of {source}. Layers: {names}."),
                source=self._source,
                names=", ".join(layer.GetName() for layer in layers) or "none",
            )
        return matching[0]

    def _warn_without_crs(self, progress: Progress) -> None:
        """Warn where the layer or the raster does not say where on earth it is."""
        if (self._reference is None) != bool(self._grid.wkt):
            return
        text = translate("ScasNet", "Mask {source} has no CRS: that of the raster is assumed.")
        if not self._grid.wkt:
            text = translate("ScasNet", "The raster has no CRS: that of mask {source} is assumed.")
        progress.warn(message(text, source=self._source))

    def _covered_window(self, progress: Progress) -> Window:
        """Go once over the features that may touch the area; raises InputError if none does."""
        bounds = self._shapes.bounds(self._area)
        indexed = bool(self._layer.TestCapability(ogr.OLCFastSpatialFilter))
        envelopes = _EnvelopeIndex()
        extent: Bounds | None = None
        with _reading(self._source):
            for feature in self._features(bounds):
                progress.check()
                for polygon in _polygons_in(feature.GetGeometryRef()):
                    polygon_bounds = envelope_of(polygon)
                    extent = joined(extent, polygon_bounds)
                    if not indexed:
                        envelopes.add(feature.GetFID(), polygon_bounds)
                if indexed and bounds and extent and joined(extent, bounds) == extent:
                    break  # nothing of the area is left
        window = None if extent is None else self._shapes.window(extent)
        window = None if window is None else window.intersect(self._area)
        if window is None or window.empty:
            raise self._no_overlap(progress)
        if not indexed and self._layer.TestCapability(ogr.OLCRandomRead):
            self._envelopes = envelopes
        return window

    def _features(self, bounds: Bounds | None) -> Iterator[ogr.Feature]:
        return read_features(self._layer, bounds, field_names(self._layer))

    def _polygons(self, window: Window) -> Iterator[ogr.Geometry]:
        """The polygons that may touch a window."""
        bounds = self._shapes.bounds(window)
        if self._envelopes is None or bounds is None:
            features = self._features(bounds)
        else:
            ignore_fields(self._layer, field_names(self._layer))
            features = (self._layer.GetFeature(fid) for fid in self._envelopes.touching(bounds))
        for feature in features:
            yield from _polygons_in(feature.GetGeometryRef())

    def _no_overlap(self, progress: Progress) -> InputError:
        """What is wrong with a layer of which nothing lies in the area."""
        features, extent, kinds = 0, None, set()
        with _reading(self._source):
            for feature in self._features(None):
                progress.check()
                features += 1
                geometry = feature.GetGeometryRef()
                if geometry is not None and not geometry.IsEmpty():
                    kinds.add(geometry.GetGeometryName())
                for polygon in _polygons_in(geometry):
                    extent = joined(extent, envelope_of(polygon))
        if extent is None:
            return _no_polygons(self._source, features, kinds)
        corners = outline(self._grid, self._area)
        raster = _Place(bounds_of(corners, curved=False), reference_of(self._grid.wkt))
        mask = _Place(extent, self._reference)
        return _elsewhere(self._source, mask, raster, is_part=self._area != self._grid.whole)


def _reading(source: str) -> AbstractContextManager[None]:
    text = translate(
        "ScasNet", "Mask {source} cannot be read: choose another layer, or save it as a GeoPackage."
    )
    return reading(text, source)


def layer_digest(source: str, layer: str, check: Callable[[], None]) -> str:
    """SHA-256 of the shapes and the reference system; attributes do not count.

    A scratch layer of QGIS is saved to another file for each run, which holds the time of day.
    ``layer`` may be "" where there is only one with shapes; ``check`` may raise Cancelled.
    Raises InputError where the layer cannot be read.
    """
    digest = hashlib.sha256()
    with _reading(source):
        dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
        for candidate in layers_with_geometry(dataset):
            if layer not in ("", candidate.GetName()):
                continue
            reference = candidate.GetSpatialRef()
            digest.update((reference.ExportToWkt() if reference else "").encode())
            for feature in read_features(candidate, None, field_names(candidate)):
                check()
                geometry = feature.GetGeometryRef()
                digest.update(b"" if geometry is None else bytes(geometry.ExportToIsoWkb()))
    return digest.hexdigest()


class _EnvelopeIndex:
    """Numbers and envelopes of polygons, for layers without an index of their own."""

    def __init__(self) -> None:
        self._ids, self._bounds = array("q"), array("d")

    def add(self, fid: int, bounds: Bounds) -> None:
        self._ids.append(fid)
        self._bounds.extend(bounds)

    def touching(self, bounds: Bounds) -> list[int]:
        """Numbers of features with a polygon that may touch the bounds."""
        left, bottom, right, top = np.frombuffer(self._bounds).reshape(-1, 4).T
        touching = (left <= bounds[2]) & (right >= bounds[0])
        touching &= (bottom <= bounds[3]) & (top >= bounds[1])
        fids = np.frombuffer(self._ids, dtype=np.int64)[touching]
        return [int(fid) for fid in np.unique(fids)]


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


@dataclass(frozen=True)
class _Place:
    """Bounds in a reference system; None where it is not known."""

    bounds: Bounds
    reference: osr.SpatialReference | None

    @property
    def text(self) -> Message:
        """x, y and the system, as many digits as people can compare."""
        digits = 5 if self.reference is not None and self.reference.IsGeographic() else 1
        left, bottom, right, top = (f"{edge:.{digits}f}" for edge in self.bounds)
        text = translate("ScasNet", "x {left} to {right}, y {bottom} to {top} in {system}")
        return message(
            text, left=left, right=right, bottom=bottom, top=top, system=self._crs_name()
        )

    def _crs_name(self) -> Message | str:
        if self.reference is None:
            return message(translate("ScasNet", "an unknown coordinate reference system"))
        code = self.reference.GetAuthorityCode(None)
        name = self.reference.GetName() or ""
        return f"{self.reference.GetAuthorityName(None)}:{code} {name}".strip() if code else name


def _no_polygons(source: str, features: int, kinds: Collection[str]) -> InputError:
    """``kinds`` are the names of the geometries that are there instead."""
    text = translate(
        "ScasNet",
        "Mask {source} contains {kinds}, not polygons: choose a polygon layer, or make "
        "one with Buffer.",
    )
    if not features:
        text = translate(
            "ScasNet", "Mask {source} contains no polygons: draw some, or remove the mask."
        )
    elif not kinds:
        text = translate(
            "ScasNet",
            "The geometries of mask {source} are empty: choose a layer with polygons, or "
            "remove the mask.",
        )
    return InputError(text, source=source, kinds=", ".join(sorted(kinds)))


def _elsewhere(source: str, mask: _Place, raster: _Place, *, is_part: bool) -> InputError:
    """The mask lies beside the raster, or beside the extent that is mapped (``is_part``)."""
    if is_part:
        text = translate(
            "ScasNet",
            "Mask {source} does not overlap the extent: it covers {there}, the extent "
            "{here}; change or clear the extent.",
        )
    else:
        text = translate(
            "ScasNet",
            "Mask {source} does not overlap the raster: it covers {there}, the raster "
            "{here}; choose another layer, or correct the CRS of one of them.",
        )
    return InputError(text, source=source, there=mask.text, here=raster.text)
