"""Reference points on the grid of a map, and the classes of the map at them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from osgeo import ogr, osr

from scasnet_qgis.accuracy.sample_file import SampleDesign, SampleDesignReader
from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid, inverse_of
from scasnet_qgis.labels.label_class import IGNORE, LabelClass, reading_labels, value_text
from scasnet_qgis.labels.labels import Labels
from scasnet_qgis.labels.vector_labels import ClassField
from scasnet_qgis.labels.vectors.grid_transform import reference_of, transformation
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN_CLASS = (
    256  # label of a point whose class is not in the list; IGNORE is one without a class
)
_CHUNK = 4096  # points that are transformed at once
_BLOCK = 256  # rows and columns of the map that are read for the points in them
_POINTS = (ogr.wkbPoint, ogr.wkbMultiPoint)


@dataclass(frozen=True)
class ReferenceSource:
    """Where a reference is: a raster, or a layer of a vector file with its field of classes.

    ``wkt`` is the CRS of points in a file that states none.
    """

    path: str
    is_vector: bool = False
    layer: str = ""
    field: str = ""
    wkt: str = ""


@dataclass(frozen=True)
class Points:
    """Reference points on a map's grid, one entry a point.

    ``rows`` and ``cols`` are -1 for a point outside the map; ``labels`` are indices into the
    reference's classes, UNKNOWN_CLASS or IGNORE for a point without a class.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    labels: NDArray[np.int16]
    without_geometry: int = 0  # features
    design: SampleDesign | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Which points lie in a window of the grid."""
        by_row = (self.rows >= window.row) & (self.rows < window.row_end)
        return np.asarray(by_row & (self.cols >= window.col) & (self.cols < window.col_end))


def holds_points(source: ReferenceSource) -> bool:
    """Whether the reference is a layer of points; by its first geometry where it does not say."""
    if not source.is_vector:
        return False
    class_field = ClassField(source.path, source.layer, source.field)
    kind = ogr.GT_Flatten(class_field.layer.GetGeomType())
    if kind in (ogr.wkbUnknown, ogr.wkbGeometryCollection):
        with reading_labels(source.path):
            shapes = (feature.GetGeometryRef() for feature in class_field.features(None))
            kinds = (ogr.GT_Flatten(shape.GetGeometryType()) for shape in shapes if shape)
            kind = next(kinds, kind)
    return kind in _POINTS


def read_points(
    source: ReferenceSource, grid: Grid, classes: Sequence[LabelClass], progress: Progress
) -> Points:
    """All points of a layer, reprojected to the grid; every part of a multipoint is one.

    Raises InputError where the layer cannot be read or holds other geometries.
    """
    class_field = ClassField(source.path, source.layer, source.field)
    index_of = {value_text(kind.value): index for index, kind in enumerate(classes)}
    coordinates, labels, without_geometry = array("d"), array("h"), 0
    with reading_labels(source.path):
        design_reader = SampleDesignReader.of(class_field.layer)
        for number, feature in enumerate(class_field.layer):
            if number % _CHUNK == 0:
                progress.check()
            parts = list(_point_parts(feature.GetGeometryRef()))
            for x, y in parts:
                coordinates.extend((x, y))
            without_geometry += not parts
            text = class_field.value(feature)
            label = index_of.get(text, UNKNOWN_CLASS) if text else IGNORE
            labels.extend([label] * len(parts))
            if design_reader is not None:
                design_reader.read(feature, len(parts))
        crs = class_field.layer.GetSpatialRef() or reference_of(source.wkt)
    xy = np.array(coordinates, dtype=np.float64).reshape(-1, 2)
    rows, cols = _to_pixels(xy, crs, grid)
    design = None if design_reader is None else design_reader.design()
    return Points(rows, cols, np.array(labels, dtype=np.int16), without_geometry, design)


def _point_parts(shape: ogr.Geometry | None) -> Iterator[tuple[float, float]]:
    if shape is None or shape.IsEmpty():
        return
    kind = ogr.GT_Flatten(shape.GetGeometryType())
    if kind == ogr.wkbPoint:
        yield shape.GetX(), shape.GetY()
    elif kind in (ogr.wkbMultiPoint, ogr.wkbGeometryCollection):
        for index in range(shape.GetGeometryCount()):
            yield from _point_parts(shape.GetGeometryRef(index))
    else:
        raise InputError(
            translate("ScasNet", "The layer mixes points with other geometries: separate them.")
        )


def _to_pixels(
    xy: NDArray[np.float64], crs: osr.SpatialReference | None, grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of coordinates [points, 2]; -1 for both outside the grid."""
    grid_crs = reference_of(grid.wkt) if grid.geotransform is not None else None
    if crs is not None:
        crs = crs.Clone()  # the layer's is not to be changed
        crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    transform = transformation(crs, grid_crs)
    if transform is not None:
        for at in range(0, len(xy), _CHUNK):
            xy[at : at + _CHUNK] = _transformed(xy[at : at + _CHUNK].tolist(), transform)
    inverse = inverse_of(grid)
    with np.errstate(invalid="ignore"):  # points outside the map's CRS
        cols = inverse[0] + xy[:, 0] * inverse[1] + xy[:, 1] * inverse[2]
        rows = inverse[3] + xy[:, 0] * inverse[4] + xy[:, 1] * inverse[5]
        inside = (rows >= 0) & (rows < grid.rows) & (cols >= 0) & (cols < grid.cols)
    rows, cols = np.where(inside, rows, -1.0), np.where(inside, cols, -1.0)
    return np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)


def _transformed(
    xy: list[list[float]], transform: osr.CoordinateTransformation
) -> list[list[float]]:
    """Coordinates in the other CRS; infinity for those outside of it."""
    try:
        return [[x, y] for x, y, *_ in transform.TransformPoints(xy)]
    except RuntimeError:  # newer GDAL raises where one of them fails
        if len(xy) == 1:
            return [[float("inf"), float("inf")]]
    middle = len(xy) // 2
    return _transformed(xy[:middle], transform) + _transformed(xy[middle:], transform)


def map_classes_at(
    points: Points, selected: NDArray[np.bool_], mapped: Labels, progress: Progress
) -> NDArray[np.uint8]:
    """The map's class index at each selected point; IGNORE for the others and for nodata.

    The map is read in the windows around neighbouring points only.
    """
    result = np.full(len(points), IGNORE, dtype=np.uint8)
    indices = np.flatnonzero(selected & (points.rows >= 0))
    keys = np.stack((points.rows[indices] // _BLOCK, points.cols[indices] // _BLOCK))
    order = np.lexsort(keys[::-1])
    indices, keys = indices[order], keys[:, order]
    changes = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1
    groups = [group for group in np.split(indices, changes) if group.size]
    for number, group in enumerate(groups):
        progress.check()
        rows, cols = points.rows[group], points.cols[group]
        row, col = int(rows.min()), int(cols.min())
        window = Window(row, col, int(rows.max()) - row + 1, int(cols.max()) - col + 1)
        result[group] = mapped.read(window)[rows - row, cols - col]
        progress.report((number + 1) / len(groups))
    return result
