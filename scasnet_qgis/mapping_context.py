"""What a run has made of its settings."""

from __future__ import annotations

from dataclasses import dataclass

from scasnet_qgis.core.preprocessing import Scaling
from scasnet_qgis.core.windows import TilePlan, Window
from scasnet_qgis.mapping_regridding import ModelView
from scasnet_qgis.mapping_resolution import ModelGrid
from scasnet_qgis.mapping_resume import Tiling
from scasnet_qgis.mapping_settings import MapSettings
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.image import Image
from scasnet_qgis.refinements.refinement import RefinementSteps


@dataclass(frozen=True)
class RunContext:
    """``grid`` is the whole raster's, ``area`` what of it is mapped; ``model_grid`` are the pixels
    that the model sees, None where they are the raster's own."""

    settings: MapSettings
    reader: Image
    grid: Grid
    area: Window
    scaling: Scaling
    model_grid: ModelGrid | None
    view: ModelView
    tiling: Tiling
    steps: RefinementSteps
    backend: OnnxBackend

    @property
    def plan(self) -> TilePlan:
        return self.tiling.plan

    @property
    def map_grid(self) -> Grid:
        """The grid of the map."""
        return self.grid.part(self.area)
