"""The fields of a sample of points that was drawn from a map, and the design they tell.

The names have at most ten letters, so that a shapefile keeps them. From the fields a sample is
known again, with the pixels of each class of the map it was drawn from.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from osgeo import ogr

from scasnet_qgis.raster.label_class import value_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


@dataclass(frozen=True)
class SampledClass:
    """A class of the map a sample was drawn from, by the text of its value."""

    value: str
    pixels: int
    area: float


@dataclass(frozen=True)
class Design:
    """The strata of a sample; ``drawn`` is for each point the index of its own, -1 for none.

    ``consistent``: no point contradicts another about them, and none lacks the fields.
    """

    strata: tuple[SampledClass, ...]
    drawn: NDArray[np.int64]
    all_pixels: int
    area_unit: str
    consistent: bool

    @property
    def whole(self) -> bool:
        """Whether the points still tell of every class of the map."""
        return sum(each.pixels for each in self.strata) == self.all_pixels

    @property
    def area(self) -> float:
        """Ground area of the map."""
        return sum(each.area for each in self.strata)


class DesignReader:
    """Gathers the design from one point after the other."""

    def __init__(self, columns: Sequence[int]) -> None:
        self._columns = columns
        self._strata: dict[str, SampledClass] = {}
        self._index: dict[str, int] = {}
        self._wholes: set[tuple[int, str]] = set()
        self._drawn = array("q")
        self._consistent = True

    @classmethod
    def of(cls, layer: ogr.Layer) -> DesignReader | None:
        """None where the layer lacks the fields of a sample."""
        definition = layer.GetLayerDefn()
        columns = [definition.GetFieldIndex(name) for name in DESIGN_FIELDS]
        return cls(columns) if min(columns) >= 0 else None

    def read(self, feature: ogr.Feature, points: int) -> None:
        """Note the stratum of a feature, which has so many points."""
        self._drawn.extend([self._stratum(feature)] * points)

    def _stratum(self, feature: ogr.Feature) -> int:
        texts = [(feature.GetFieldAsString(column) or "").strip() for column in self._columns]
        key = value_text(texts[0])
        try:
            found = SampledClass(key, round(float(texts[1])), float(texts[2]))
            self._wholes.add((round(float(texts[3])), texts[4]))
        except (ValueError, OverflowError):
            self._consistent = False
            return -1
        known = self._strata.setdefault(key, found)
        same = known.pixels == found.pixels
        self._consistent = self._consistent and same and len(self._wholes) == 1
        return self._index.setdefault(key, len(self._index))

    def finished(self) -> Design:
        """What all points said."""
        whole, unit = next(iter(self._wholes), (0, ""))
        drawn = np.array(self._drawn, dtype=np.int64)
        return Design(tuple(self._strata.values()), drawn, whole, unit, self._consistent)
