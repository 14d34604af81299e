"""Reads layers and features of a vector file with OGR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from osgeo import gdal, ogr

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.labels.vectors.grid_transform import Bounds

LINES = (ogr.wkbLineString, ogr.wkbMultiLineString, ogr.wkbCompoundCurve, ogr.wkbMultiCurve)


@contextmanager
def reading(template: str, source: str) -> Iterator[None]:
    """Turn what GDAL raises, or what follows from its None, into an InputError.

    ``template`` is its sentence, already marked for translation, with a place for {source}.
    """
    try:
        yield
    except (RuntimeError, AttributeError, TypeError) as error:
        raise InputError(template, str(error), source=source) from error


def layers_with_geometry(dataset: gdal.Dataset) -> list[ogr.Layer]:
    """All layers but plain tables."""
    layers = [dataset.GetLayerByIndex(index) for index in range(dataset.GetLayerCount())]
    return [layer for layer in layers if ogr.GT_Flatten(layer.GetGeomType()) != ogr.wkbNone]


def field_names(layer: ogr.Layer) -> list[str]:
    definition = layer.GetLayerDefn()
    return [definition.GetFieldDefn(index).GetName() for index in range(definition.GetFieldCount())]


def ignore_fields(layer: ogr.Layer, fields: Sequence[str]) -> None:
    """Have features read without these fields, and without a style."""
    if layer.TestCapability(ogr.OLCIgnoreFields):
        layer.SetIgnoredFields([*fields, "OGR_STYLE"])


def read_features(
    layer: ogr.Layer, bounds: Bounds | None, ignored: Sequence[str]
) -> Iterator[ogr.Feature]:
    """Features in the bounds (layer's coordinates), without the ``ignored`` fields.

    Raises RuntimeError where the file is damaged.
    """
    ignore_fields(layer, ignored)
    if bounds is None:
        layer.SetSpatialFilter(None)
    else:
        layer.SetSpatialFilterRect(*bounds)
    layer.ResetReading()
    gdal.ErrorReset()
    while (feature := layer.GetNextFeature()) is not None:
        yield feature
    # Before GDAL 3.7 only some of its modules raise; a damaged file just seems to end.
    if gdal.GetLastErrorType() >= gdal.CE_Failure:
        raise RuntimeError(gdal.GetLastErrorMsg())
