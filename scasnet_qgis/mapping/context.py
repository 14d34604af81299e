"""What a run has made of its settings."""

from __future__ import annotations

from dataclasses import dataclass

from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.source import Image
from scasnet_qgis.mapping.model_grid import ModelGrid
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.mapping.resume import Tiling
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.mapping.views import ModelView
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import TilePlan, Window


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
