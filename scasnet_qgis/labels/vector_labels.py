"""Labels of a vector layer, rasterized window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, ogr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import MAX_CLASSES
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.label_class import (
    IGNORE,
    LabelClass,
    by_number,
    make_classes,
    reading_labels,
    too_many_classes,
    value_text,
)
from scasnet_qgis.labels.vectors.burning import ShapeRasterizer, crs_of_layer, envelope_of, joined
from scasnet_qgis.labels.vectors.grid_transform import Bounds
from scasnet_qgis.labels.vectors.layer import (
    LINES,
    field_names,
    layers_with_geometry,
    read_features,
)
from scasnet_qgis.tiling.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLYGONS = (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbCurvePolygon, ogr.wkbMultiSurface)
_POINTS = (ogr.wkbPoint, ogr.wkbMultiPoint)


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
        self._class_index = {value_text(label.value): index for index, label in enumerate(classes)}
        self._class_index.pop("", None)
        self._shapes = ShapeRasterizer(source, crs_of_layer(self._field.layer), grid)

    def labelled_window(self) -> Window | None:
        """Around all features with a known class that may touch the grid."""
        bounds: Bounds | None = None
        with reading_labels(self._source):
            for _, _, geometry in self._labelled_features(self._shapes.bounds(self._grid.whole)):
                bounds = joined(bounds, envelope_of(geometry))
        return None if bounds is None else self._shapes.window(bounds)

    def _labelled_features(self, bounds: Bounds | None) -> Iterator[tuple[int, int, ogr.Geometry]]:
        """Number, class and geometry of features that carry a class."""
        for feature in self._field.features(bounds):
            index = self._class_index.get(self._field.value(feature))
            geometry = feature.GetGeometryRef()
            if index is None or geometry is None or geometry.IsEmpty():
                continue
            if ogr.GT_Flatten(geometry.GetGeometryType()) in _POLYGONS + _POINTS:
                yield feature.GetFID(), index, geometry.Clone()

    def read(self, window: Window) -> NDArray[np.uint8]:
        with reading_labels(self._source):
            # An index of the layer gives its features in any order.
            found = sorted(
                self._labelled_features(self._shapes.bounds(window)), key=lambda shape: shape[0]
            )
            shapes = ((index, geometry) for _, index, geometry in found)
            return self._shapes.burnt(window, shapes, IGNORE)


_NUMBERS = (ogr.OFTInteger, ogr.OFTInteger64, ogr.OFTReal)


def is_vector(source: str) -> bool:
    """Whether GDAL can read vector layers from a source."""
    try:
        dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
    except RuntimeError:
        return False
    return dataset is not None and dataset.GetLayerCount() > 0


class ClassField:
    """One field of a layer with polygons or points."""

    def __init__(self, source: str, layer: str, field: str) -> None:
        """``layer`` may be empty where the source has one layer. Raises InputError."""
        self.source = source
        with reading_labels(source):
            self._dataset = gdal.OpenEx(source, gdal.OF_VECTOR)
            self.layer = self._choose_layer(layer)
            definition = self.layer.GetLayerDefn()
            names = field_names(self.layer)
        if field not in names:
            raise InputError(
                translate(
                    "ScasNet",
                    "Labels {source} have no field '{field}': choose the class field. "
                    "Fields: {names}.",
                ),
                source=source,
                field=field,
                names=", ".join(names) or "none",
            )
        self._field = names.index(field)
        self._is_number = definition.GetFieldDefn(self._field).GetType() in _NUMBERS
        self._ignorable = [name for name in names if name != field]

    def _choose_layer(self, name: str) -> ogr.Layer:
        layers = layers_with_geometry(self._dataset)
        matching = [layer for layer in layers if name in ("", layer.GetName())]
        if len(matching) != 1:
            raise InputError(
                translate("ScasNet", "Choose the label layer of {source}. Layers: {names}."),
                source=self.source,
                names=", ".join(layer.GetName() for layer in layers) or "none",
            )
        if ogr.GT_Flatten(matching[0].GetGeomType()) in LINES:
            raise InputError(
                translate("ScasNet", "Labels {source} are lines: choose a polygon layer."),
                source=self.source,
            )
        return matching[0]

    def features(self, bounds: Bounds | None, *, geometry: bool = True) -> Iterator[ogr.Feature]:
        """Features in the bounds (layer's coordinates), with no more attributes than needed."""
        ignored = self._ignorable if geometry else [*self._ignorable, "OGR_GEOMETRY"]
        return read_features(self.layer, bounds, ignored)

    def value(self, feature: ogr.Feature) -> str:
        """The text of the feature's value; "" for none."""
        if not feature.IsFieldSetAndNotNull(self._field):
            return ""
        if self._is_number:
            # As text, a real would have as many digits as its field shows.
            return value_text(feature.GetField(self._field))
        return value_text(feature.GetFieldAsString(self._field))


def vector_classes(source: str, layer: str, field: str, progress: Progress) -> list[LabelClass]:
    """The distinct values of a field, numbers in their order before texts in theirs."""
    values: set[str] = set()
    chosen = ClassField(source, layer, field)
    with reading_labels(source):
        for feature in chosen.features(None, geometry=False):
            progress.check()
            values.add(chosen.value(feature))
            if len(values) > MAX_CLASSES + 2:  # one may be empty, one may say that it is none
                raise too_many_classes(source)
    return make_classes(by_number(values - {""}), {}, {}, source)
