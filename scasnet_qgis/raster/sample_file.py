"""A sample of points as a vector file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osgeo import gdal, ogr, osr

from scasnet_qgis.core.errors import OutputError, SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.raster import sample_design as names
from scasnet_qgis.raster.grid import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}
LAYER = "sample"
_KINDS = {
    names.SAMPLE_ID: ogr.OFTInteger,
    names.REFERENCE: ogr.OFTString,
    names.MAP_CLASS: ogr.OFTString,
    names.MAP_VALUE: ogr.OFTString,
    names.MAP_PIXELS: ogr.OFTInteger64,
    names.MAP_AREA: ogr.OFTReal,
    names.ALL_PIXELS: ogr.OFTInteger64,
    names.AREA_UNIT: ogr.OFTString,
}


@dataclass(frozen=True)
class Stratum:
    """A class of the map, and how many points were drawn in it."""

    value: str
    name: str
    color: str
    pixels: int
    area: float
    points: int


def check_sample_file(path: Path) -> None:
    """Raise SettingError for an unknown ending, OutputError where labels would be lost."""
    if path.suffix.lower() not in DRIVERS:
        raise SettingError(
            translate(
                "ScasNet",
                "The sample {name} must be a GeoPackage, a shapefile or a GeoJSON file: give it a "
                "name that ends in .gpkg, .shp or .geojson.",
            ),
            name=path.name,
        )
    if not path.exists():
        return
    labelled = _labelled(path)
    if labelled:
        raise OutputError(
            translate("ScasNet", "{output} holds {labelled} labelled points: choose another name."),
            output=path,
            labelled=labelled,
        )


def _labelled(path: Path) -> int:
    """Points with a reference class in an older sample; 0 for any other file."""
    try:
        dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    except RuntimeError:  # whatever it is, it is no sample
        return 0
    layer = dataset.GetLayer(0) if dataset is not None else None
    column = -1 if layer is None else layer.GetLayerDefn().GetFieldIndex(names.REFERENCE)
    if layer is None or column < 0:
        return 0
    return sum(1 for each in layer if (each.GetFieldAsString(column) or "").strip())


def write_sample(
    path: Path,
    grid: Grid,
    pixels: NDArray[np.int64],
    strata: Sequence[Stratum],
    unit: str,
) -> None:
    """Write points at the centres of ``pixels`` [points, 3] (row, column, stratum), in order.

    Raises OutputError where the file cannot be written.
    """
    try:
        _write(path, grid, pixels, strata, unit)
    except (RuntimeError, AttributeError) as error:
        raise OutputError(
            translate(
                "ScasNet",
                "The sample {name} cannot be written: choose a folder that has room left.",
            ),
            str(error),
            name=path.name,
        ) from error


def _write(
    path: Path,
    grid: Grid,
    pixels: NDArray[np.int64],
    strata: Sequence[Stratum],
    unit: str,
) -> None:
    driver = ogr.GetDriverByName(DRIVERS[path.suffix.lower()])
    dataset = driver.CreateDataSource(str(path))
    options = ["ENCODING=UTF-8"] if path.suffix.lower() == ".shp" else []
    layer = dataset.CreateLayer(LAYER, _reference(grid), ogr.wkbPoint, options)
    for name, kind in _KINDS.items():
        column = ogr.FieldDefn(name, kind)
        if kind == ogr.OFTString:
            column.SetWidth(254)  # the most a shapefile can, and more than it does unasked
        if kind == ogr.OFTReal:
            column.SetWidth(24)  # of a shapefile, which writes numbers as text
            column.SetPrecision(6)
        layer.CreateField(column)
    whole = sum(each.pixels for each in strata)
    layer.StartTransaction()
    for number, (row, col, index) in enumerate(pixels.tolist(), start=1):
        stratum = strata[index]
        feature = ogr.Feature(layer.GetLayerDefn())
        shape = ogr.Geometry(ogr.wkbPoint)
        shape.AddPoint_2D(*grid.to_map(row + 0.5, col + 0.5))
        feature.SetGeometry(shape)
        feature[names.SAMPLE_ID] = number
        feature.SetFieldNull(names.REFERENCE)  # unset, a GeoJSON file would not have the field
        feature[names.MAP_CLASS] = stratum.name
        feature[names.MAP_VALUE] = stratum.value
        feature[names.MAP_PIXELS] = stratum.pixels
        feature[names.MAP_AREA] = stratum.area
        feature[names.ALL_PIXELS] = whole
        feature[names.AREA_UNIT] = unit
        layer.CreateFeature(feature)
    layer.CommitTransaction()
    layer.SyncToDisk()
    del layer, dataset


def _reference(grid: Grid) -> osr.SpatialReference | None:
    if not grid.wkt or grid.geotransform is None:
        return None
    reference = osr.SpatialReference(grid.wkt)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference
