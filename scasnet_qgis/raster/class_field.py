"""The field of a vector layer that holds the class of its features."""

from __future__ import annotations

from collections.abc import Iterator

from osgeo import gdal, ogr

from scasnet_qgis.core.card import MAX_CLASSES
from scasnet_qgis.core.errors import InputError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.footprint import Bounds
from scasnet_qgis.raster.label_class import (
    LabelClass,
    by_number,
    make_classes,
    reading_labels,
    too_many_classes,
    value_text,
)
from scasnet_qgis.raster.vector_layer import (
    LINES,
    field_names,
    layers_with_geometry,
    read_features,
)

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
                    "The labels {source} have no field '{field}': choose the field that holds "
                    "the classes; there is {names}.",
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
                translate(
                    "ScasNet",
                    "Name the layer of {source} that holds the labels: there is {names}.",
                ),
                source=self.source,
                names=", ".join(layer.GetName() for layer in layers) or "none",
            )
        if ogr.GT_Flatten(matching[0].GetGeomType()) in LINES:
            raise InputError(
                translate(
                    "ScasNet",
                    "The labels {source} are lines: choose a layer of polygons.",
                ),
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
