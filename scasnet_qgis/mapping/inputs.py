"""What a run opens before it maps: the image, the polygons around what is wanted, the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import RasterReader, file_of, files_of
from scasnet_qgis.images.source import Image
from scasnet_qgis.labels.vectors.mask import AreaOfInterest
from scasnet_qgis.mapping.resume import Tiling
from scasnet_qgis.mapping.settings import ImageInput, MapSettings, OutputFiles
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.gpu_graph import RawInput
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.outputs.atomic_output import check_not_input
from scasnet_qgis.tiling.valid_pixels import MaskReader
from scasnet_qgis.tiling.windows import Window


def open_image(image: ImageInput, bands: Sequence[str], progress: Progress) -> Image:
    """Where the pixels of the model's ``bands`` come from.

    Raises InputError, and SettingError for bands.
    """
    if image.layer is not None:
        return image.layer.open(bands, image.bands, progress)
    return RasterReader(image.source, bands, image.bands, progress)


def check_not_inputs(output: OutputFiles, image: ImageInput, model: ModelInfo) -> None:
    """Raise OutputError where an output would destroy or restyle an input."""
    if image.layer is not None:  # no GeoTIFF among what is read
        return
    files = [file_of(image.source), *files_of(image.source), str(model.path)]
    for path in output.all:
        check_not_input(path, files)


def with_reference(grid: Grid, image: ImageInput) -> Grid:
    """The raster's grid with the reference system that holds for it."""
    if not image.fallback_wkt or (grid.wkt and not image.layer_wins):
        return grid
    return replace(grid, wkt=image.fallback_wkt)


def inside_of(image: ImageInput, grid: Grid, area: Window, progress: Progress) -> MaskReader | None:
    """Which pixels the user wants mapped; None: all of them."""
    if not image.mask:
        return None
    return AreaOfInterest(
        image.mask, grid, layer=image.mask_layer, area=area, progress=progress
    ).inside


def open_backend(
    settings: MapSettings, tiling: Tiling, raw: RawInput, resampled: bool, progress: Progress
) -> OnnxBackend:
    """The model for the tiles of the raster's pixels, which are ``raw``, or ``resampled`` ones.

    It gives labels where they will do.
    """
    model, augmentation, plan = settings.model, settings.augmentation, tiling.plan
    blended = plan.count > 1 and tiling.overlap > 0
    averaged = not augmentation.is_none
    # Rounded scores would do for a plain map, but not where they are the result, and not where
    # tiles are resized.
    margin = 2 * model.margin
    tile = (plan.vertical.size + margin, plan.horizontal.size + margin)
    exact = settings.output.probabilities is not None or augmentation.scales != (1.0,)
    return OnnxBackend(
        model,
        settings.device.device,
        settings.device.threads,
        augmentation.largest(tile),
        tiles=plan.count,
        batch=settings.device.batch,
        progress=progress,
        raw=raw,
        eight_bit=False if exact else None,
        labels=not (blended or averaged or resampled or settings.needs_scores),
    )
