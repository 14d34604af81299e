"""How large a patch of a map must be to stay."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from scasnet_qgis.common.choices import PIXELS
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.refinements.components import MOST

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 64  # rows that share a pixel area, counted from the raster's top
_SLACK = 1e-9  # a patch of just the size asked for stays, however its area is rounded


@dataclass(frozen=True)
class MinArea:
    """A patch stays if the ``weights`` of its pixels add up to ``limit``.

    ``weights`` [rows] are whole numbers, one for the pixels of each row, so that a sum does not
    depend on its order; None stands for 1 everywhere.
    """

    limit: int
    weights: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, size: float, unit: str, grid: Grid) -> MinArea:
        """``size`` in one of ``choices.PATCH_UNITS``.

        Raises SettingError where the raster does not tell the ground area of its pixels.
        """
        if unit == PIXELS:
            return cls(min(ceil(size), MOST))
        if grid.area_unit != "m2":
            raise SettingError(
                translate(
                    "ScasNet",
                    "The raster does not tell the size of its pixels in metres: give the minimum "
                    "mapping unit in pixels.",
                )
            )
        middles = np.minimum(np.arange(0, grid.rows, _BLOCK) + _BLOCK / 2, grid.rows)
        areas = np.array([grid.pixel_area(float(row)) for row in middles])
        if np.allclose(areas, areas[0], rtol=_SLACK, atol=0):
            return cls(min(ceil(size / areas[0] * (1 - _SLACK)), MOST))
        weights = np.minimum(np.round(areas / size * MOST), MOST).astype(np.int64)
        return cls(MOST, np.repeat(weights, _BLOCK)[: grid.rows])

    @property
    def pixels(self) -> int:
        """How many pixels a patch needs to stay; where their area varies, in the largest ones."""
        return self.limit if self.weights is None else -(-self.limit // int(self.weights.max()))
