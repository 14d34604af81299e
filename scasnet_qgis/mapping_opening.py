"""What a run opens before it maps: the image, the polygons around what is wanted, the model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scasnet_qgis.core.progress import Progress
from scasnet_qgis.core.segmentation import Inside
from scasnet_qgis.core.windows import Window
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.gpu_graph import RawInput
from scasnet_qgis.raster.area_of_interest import AreaOfInterest
from scasnet_qgis.raster.delivery import check_not_input
from scasnet_qgis.raster.grid import Grid
from scasnet_qgis.raster.image import Image
from scasnet_qgis.raster.reader import RasterReader, file_of, files_of

if TYPE_CHECKING:
    from scasnet_qgis.mapping import MapRequest
    from scasnet_qgis.mapping_resume import Tiling


def open_image(request: MapRequest, progress: Progress) -> Image:
    """What the pixels come from; raises InputError, and SettingError for bands."""
    bands = request.model.card.bands
    if request.layer is not None:
        return request.layer.open(bands, request.bands, progress)
    return RasterReader(request.source, bands, request.bands, progress)


def check_inputs(request: MapRequest) -> None:
    """Raise OutputError where an output would destroy or restyle an input."""
    if request.layer is not None:  # no GeoTIFF among what is read
        return
    source = request.source
    files = [file_of(source), *files_of(source), str(request.model.path)]
    for output in filter(None, (request.output, request.probabilities)):
        check_not_input(output, files)


def with_reference(grid: Grid, request: MapRequest) -> Grid:
    """The raster's grid with the reference system that holds for it."""
    if not request.fallback_wkt or (grid.wkt and not request.layer_wins):
        return grid
    return replace(grid, wkt=request.fallback_wkt)


def inside_of(request: MapRequest, grid: Grid, area: Window, progress: Progress) -> Inside | None:
    """Which pixels the user wants mapped; None: all of them."""
    if not request.mask:
        return None
    return AreaOfInterest(
        request.mask, grid, layer=request.mask_layer, area=area, progress=progress
    ).inside


def open_backend(
    request: MapRequest, tiling: Tiling, raw: RawInput, resampled: bool, progress: Progress
) -> OnnxBackend:
    """The model for the tiles of the raster's pixels, which are ``raw``, or ``resampled`` ones.

    It gives labels where they will do.
    """
    plan = tiling.plan
    blended = plan.count > 1 and tiling.overlap > 0
    averaged = not request.looks.only_one
    # Rounded scores would do for a plain map, but not where they are the result, and not where
    # tiles are resized.
    margin = 2 * request.model.margin
    tile = (plan.vertical.size + margin, plan.horizontal.size + margin)
    exact = request.probabilities is not None or request.looks.scales != (1.0,)
    return OnnxBackend(
        request.model,
        request.device,
        request.threads,
        request.looks.largest(tile),
        tiles=plan.count,
        batch=request.batch,
        progress=progress,
        raw=raw,
        eight_bit=False if exact else None,
        labels=not (blended or averaged or resampled or request.needs_scores),
    )
