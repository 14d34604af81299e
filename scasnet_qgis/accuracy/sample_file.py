"""A random sample of points as a vector file, and the sampling design that its fields hold.

The names of the fields have at most ten letters, so that a shapefile keeps them. From the fields a
sample is recognised, with the pixels of each class of the map it was drawn from.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from osgeo import gdal, ogr, osr

from scasnet_qgis.common.errors import OutputError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.label_class import value_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}
LAYER = "sample"

SAMPLE_ID = "sample_id"
REFERENCE = "reference"  # empty, for a person to fill
MAP_CLASS = "map_class"
MAP_VALUE = "map_value"
MAP_PIXELS = "map_pixels"  # pixels of the point's class on the map
MAP_AREA = "map_area"  # their ground area
ALL_PIXELS = "all_pixels"  # pixels of all classes
AREA_UNIT = "area_unit"
DESIGN_FIELDS = (MAP_VALUE, MAP_PIXELS, MAP_AREA, ALL_PIXELS, AREA_UNIT)
HIDDEN_FIELDS = (MAP_CLASS, *DESIGN_FIELDS)  # they would tell the person who labels the map's class
_FIELD_TYPES = {
    SAMPLE_ID: ogr.OFTInteger,
    REFERENCE: ogr.OFTString,
    MAP_CLASS: ogr.OFTString,
    MAP_VALUE: ogr.OFTString,
    MAP_PIXELS: ogr.OFTInteger64,
    MAP_AREA: ogr.OFTReal,
    ALL_PIXELS: ogr.OFTInteger64,
    AREA_UNIT: ogr.OFTString,
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
                "{name} is not a GeoPackage, shapefile or GeoJSON file: choose a name that ends in "
                ".gpkg, .shp or .geojson.",
            ),
            name=path.name,
        )
    if not path.exists():
        return
    labelled = _labelled(path)
    if labelled:
        raise OutputError(
            translate("ScasNet", "{output} has {labelled} labelled points: choose another name."),
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
    column = -1 if layer is None else layer.GetLayerDefn().GetFieldIndex(REFERENCE)
    if layer is None or column < 0:
        return 0
    return sum(1 for point in layer if (point.GetFieldAsString(column) or "").strip())


def write_sample(
    path: Path, grid: Grid, pixels: NDArray[np.int64], strata: Sequence[Stratum], unit: str
) -> None:
    """Write points at the centres of ``pixels`` [points, 3] (row, column, stratum), in order.

    Raises OutputError where the file cannot be written.
    """
    try:
        driver = ogr.GetDriverByName(DRIVERS[path.suffix.lower()])
        dataset = driver.CreateDataSource(str(path))
        layer = _create_layer(dataset, path, grid)
        all_pixels = sum(stratum.pixels for stratum in strata)
        layer.StartTransaction()
        for number, (row, col, index) in enumerate(pixels.tolist(), start=1):
            stratum = strata[index]
            values = {
                SAMPLE_ID: number,
                MAP_CLASS: stratum.name,
                MAP_VALUE: stratum.value,
                MAP_PIXELS: stratum.pixels,
                MAP_AREA: stratum.area,
                ALL_PIXELS: all_pixels,
                AREA_UNIT: unit,
            }
            layer.CreateFeature(_feature(layer, grid.to_map(row + 0.5, col + 0.5), values))
        layer.CommitTransaction()
        layer.SyncToDisk()
        del layer, dataset
    except (RuntimeError, AttributeError) as error:
        raise OutputError(
            translate(
                "ScasNet",
                "The sample {name} cannot be written: free some space or choose another folder.",
            ),
            str(error),
            name=path.name,
        ) from error


def _create_layer(dataset: ogr.DataSource, path: Path, grid: Grid) -> ogr.Layer:
    """The layer of a sample with its fields; AttributeError where there is no ``dataset``."""
    options = ["ENCODING=UTF-8"] if path.suffix.lower() == ".shp" else []
    layer = dataset.CreateLayer(LAYER, _spatial_reference(grid), ogr.wkbPoint, options)
    for name, field_type in _FIELD_TYPES.items():
        column = ogr.FieldDefn(name, field_type)
        if field_type == ogr.OFTString:
            column.SetWidth(254)  # the most a shapefile can, and more than it does unasked
        if field_type == ogr.OFTReal:
            column.SetWidth(24)  # of a shapefile, which writes numbers as text
            column.SetPrecision(6)
        layer.CreateField(column)
    return layer


def _feature(
    layer: ogr.Layer, xy: tuple[float, float], values: dict[str, int | float | str]
) -> ogr.Feature:
    """A point with these values and no reference class yet."""
    feature = ogr.Feature(layer.GetLayerDefn())
    shape = ogr.Geometry(ogr.wkbPoint)
    shape.AddPoint_2D(*xy)
    feature.SetGeometry(shape)
    feature.SetFieldNull(REFERENCE)  # unset, a GeoJSON file would not have the field
    for name, value in values.items():
        feature[name] = value
    return feature


def _spatial_reference(grid: Grid) -> osr.SpatialReference | None:
    if not grid.wkt or grid.geotransform is None:
        return None
    reference = osr.SpatialReference(grid.wkt)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


@dataclass(frozen=True)
class SampledClass:
    """A class of the map a sample was drawn from, by the text of its value."""

    value: str
    pixels: int
    area: float


@dataclass(frozen=True)
class SampleDesign:
    """The strata of a sample; ``stratum_of_point`` [points] are indices into them, -1 for none.

    ``consistent``: no point contradicts another about them, and none lacks the fields.
    """

    strata: tuple[SampledClass, ...]
    stratum_of_point: NDArray[np.int64]
    all_pixels: int
    area_unit: str
    consistent: bool

    @property
    def complete(self) -> bool:
        """Whether there is still a point of every class of the map."""
        return sum(stratum.pixels for stratum in self.strata) == self.all_pixels

    @property
    def area(self) -> float:
        """Ground area of the map."""
        return sum(stratum.area for stratum in self.strata)


class SampleDesignReader:
    """Collects the sampling design, feature by feature."""

    def __init__(self, columns: Sequence[int]) -> None:
        self._columns = columns
        self._strata: dict[str, SampledClass] = {}
        self._index: dict[str, int] = {}
        self._totals: set[tuple[int, str]] = set()
        self._stratum_of_point = array("q")
        self._consistent = True

    @classmethod
    def of(cls, layer: ogr.Layer) -> SampleDesignReader | None:
        """None where the layer lacks the fields of a sample."""
        definition = layer.GetLayerDefn()
        columns = [definition.GetFieldIndex(name) for name in DESIGN_FIELDS]
        return cls(columns) if min(columns) >= 0 else None

    def read(self, feature: ogr.Feature, points: int) -> None:
        """Note the stratum of a feature, which has so many points."""
        self._stratum_of_point.extend([self._stratum(feature)] * points)

    def _stratum(self, feature: ogr.Feature) -> int:
        texts = [(feature.GetFieldAsString(column) or "").strip() for column in self._columns]
        key = value_text(texts[0])
        try:
            found = SampledClass(key, round(float(texts[1])), float(texts[2]))
            self._totals.add((round(float(texts[3])), texts[4]))
        except (ValueError, OverflowError):
            self._consistent = False
            return -1
        known = self._strata.setdefault(key, found)
        same = known.pixels == found.pixels
        self._consistent = self._consistent and same and len(self._totals) == 1
        return self._index.setdefault(key, len(self._index))

    def design(self) -> SampleDesign:
        """The design that the features read so far tell."""
        all_pixels, unit = next(iter(self._totals), (0, ""))
        indices = np.array(self._stratum_of_point, dtype=np.int64)
        strata = tuple(self._strata.values())
        return SampleDesign(strata, indices, all_pixels, unit, self._consistent)
