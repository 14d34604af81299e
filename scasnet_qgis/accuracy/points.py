"""A map compared with the reference points on its grid, and what a sample of them says about it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from osgeo import ogr, osr

from scasnet_qgis.accuracy.area_estimation import area_adjusted
from scasnet_qgis.accuracy.request import (
    Assessment,
    AssessmentRequest,
    LeftOut,
    ReferenceSource,
    SampleFigures,
    not_adjusted,
    sample_missing,
)
from scasnet_qgis.accuracy.sample_file import SampleDesign, SampleDesignReader
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.errors import InputError, SettingError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid, inverse_of
from scasnet_qgis.labels.class_matching import LEFT_OUT, ClassMatch
from scasnet_qgis.labels.label_class import IGNORE, LabelClass, reading_labels, value_text
from scasnet_qgis.labels.labels import Labels
from scasnet_qgis.labels.vector_labels import ClassField
from scasnet_qgis.labels.vectors.grid_transform import reference_of, transformation
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

# The label of a point whose class is not in the list; IGNORE is one without a class.
UNKNOWN_CLASS = 256
_CHUNK = 4096  # points that are transformed at once
_BLOCK = 256  # rows and columns of the map that are read for the points in them
_POINTS = (ogr.wkbPoint, ogr.wkbMultiPoint)


def assess_points(
    request: AssessmentRequest,
    match: ClassMatch,
    grid: Grid,
    area: Window,
    mapped: Labels,
    progress: Progress,
) -> Assessment:
    """Compare each point of ``area`` with the pixel below it; raises InputError, SettingError."""
    if request.options.boundary:
        raise SettingError(
            translate("ScasNet", "Points have no boundaries: set the boundary distance to 0.")
        )
    points = read_points(request.reference, grid, request.reference_classes, progress)
    labels = np.append(match.table().astype(np.int16), np.int16(UNKNOWN_CLASS))[points.labels]
    inside = points.inside(area)
    values = map_classes_at(points, inside, mapped, progress)
    matrix = ConfusionMatrix.of(np.where(inside, labels, IGNORE), values, len(request.classes))
    result = Assessment(
        classes=request.classes,
        matrix=matrix,
        points=True,
        left_out=_left_out(points, labels, inside, values),
        matching=match.sentence,
        notes=_unlabelled(request, labels, inside),
    )
    if not matrix.total or request.options.adjusted == "no":
        return result
    found = _adjust(request, points, matrix, values, inside)
    if isinstance(found, Message):
        return replace(result, not_adjusted=found)
    notes = (*result.notes, *_single_points(request, matrix.in_map))
    return replace(result, adjusted=found, notes=notes)


def _left_out(
    points: Points, labels: NDArray[np.int16], inside: Flags, values: NDArray[np.uint8]
) -> tuple[LeftOut, ...]:
    no_map = inside & (labels < LEFT_OUT) & (values == IGNORE)
    reasons = {
        translate("ScasNet", "not georeferenced"): points.without_geometry,
        translate("ScasNet", "outside the map or the extent"): (~inside).sum(),
        translate("ScasNet", "without a class"): (inside & (labels == IGNORE)).sum(),
        translate("ScasNet", "with a value that is not a class"): (
            inside & (labels == UNKNOWN_CLASS)
        ).sum(),
        translate("ScasNet", "of an excluded class"): (inside & (labels == LEFT_OUT)).sum(),
        translate("ScasNet", "without a class in the map"): no_map.sum(),
    }
    return tuple(LeftOut(Message(text), int(count)) for text, count in reasons.items() if count)


def _unlabelled(
    request: AssessmentRequest, labels: NDArray[np.int16], inside: Flags
) -> tuple[Message, ...]:
    """A warning where points have no class yet."""
    count = int((inside & (labels == IGNORE)).sum())
    text = translate(
        "ScasNet", "{count} of {total} points have no class in the field {field}: they are ignored."
    )
    told = message(text, count=count, total=int(inside.sum()), field=request.reference.field)
    return (told,) if count else ()


def _adjust(
    request: AssessmentRequest,
    points: Points,
    matrix: ConfusionMatrix,
    values: NDArray[np.uint8],
    inside: Flags,
) -> SampleFigures | Message | None:
    """Figures for the whole map, or why there are none."""
    design = points.design
    if design is None:
        return sample_missing(request, points=True)
    problem = _design_problem(design, inside)
    if problem is not None:
        return not_adjusted(request, problem)
    index_of = {value_text(kind.value): index for index, kind in enumerate(request.classes)}
    _check_map(design, [index_of.get(stratum.value, -1) for stratum in design.strata], values)
    pixels, areas = [0] * len(index_of), [0.0] * len(index_of)
    for stratum in design.strata:
        pixels[index_of[stratum.value]] = stratum.pixels
        areas[index_of[stratum.value]] = stratum.area
    rows = zip(request.classes, pixels, matrix.in_map)
    missing = [kind.name for kind, count, labelled in rows if count and not labelled]
    if missing:
        text = translate("ScasNet", "no labelled points in these map classes: {names}")
        return not_adjusted(request, message(text, names=", ".join(missing)))
    figures = area_adjusted(matrix, pixels)
    return SampleFigures(figures, tuple(pixels), tuple(areas), design.area_unit)


def _design_problem(design: SampleDesign, inside: Flags) -> Message | None:
    """What is wrong with a sample; None where it is as it was drawn."""
    if not inside.all():
        return message(translate("ScasNet", "some sample points are outside the map or the extent"))
    if not design.consistent:
        return message(translate("ScasNet", "the fields of the sampling design were changed"))
    if not design.complete:
        return message(translate("ScasNet", "all points of a class were removed from the sample"))
    return None


def _check_map(design: SampleDesign, classes: Sequence[int], values: NDArray[np.uint8]) -> None:
    """Raise InputError where points are not on the class they were drawn from.

    ``classes`` are the indices of the strata's classes on this map, -1 for none.
    """
    wrong = int((np.array(classes)[design.stratum_of_point] != values).sum())
    if wrong:
        raise InputError(
            translate(
                "ScasNet",
                "The sample is of another map, or its points were moved: {wrong} of {total} points "
                "are on another map class than when drawn. Choose the map that was sampled, or "
                "turn off area-adjusted accuracy.",
            ),
            wrong=wrong,
            total=len(values),
        )


def _single_points(request: AssessmentRequest, labelled: NDArray[np.int64]) -> tuple[Message, ...]:
    names = [kind.name for kind, count in zip(request.classes, labelled) if count == 1]
    text = translate(
        "ScasNet",
        "Only one labelled point in {names}, so no confidence intervals: label at least two "
        "points in each map class.",
    )
    return (message(text, names=", ".join(names)),) if names else ()


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
