"""What a run says about itself in the log."""

from __future__ import annotations

from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.source import Image
from scasnet_qgis.mapping.refinements.refinement import RefinementSteps
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.runtime import ON_PROCESSOR
from scasnet_qgis.tiling.augmentation import Augmentation, describe_scales
from scasnet_qgis.tiling.scaling import Scaling
from scasnet_qgis.tiling.windows import TilePlan

_WHOLE = 0.99  # of an extent, which is seldom drawn to the pixel


def log_input(
    reader: Image, scaling: Scaling, card: ModelCard, grid: Grid, progress: Progress
) -> None:
    """Bands, scaling, nodata and position of the image."""
    if reader.has_palette:
        text = translate(
            "ScasNet", "The raster's colour palette is read as the bands red, green and blue."
        )
        progress.info(message(text))
    pairs = [f"{name} = {number}" for name, number in zip(card.bands, reader.bands)]
    text = translate("ScasNet", "Bands of the image: {bands}")
    progress.info(message(text, bands=", ".join(pairs)))
    progress.info(scaling.rule)
    progress.info(reader.rule.sentence)
    for warning in reader.warnings:
        progress.warn(warning)
    if grid.control:
        text = translate(
            "ScasNet",
            "The raster has only ground control points: the map gets the same points, and "
            "areas are in pixels.",
        )
        progress.info(message(text))


def log_extent(
    grid: Grid, extent: tuple[float, float, float, float] | None, progress: Progress
) -> None:
    """How much of the extent there is an image of; nothing where that is (nearly) all of it."""
    share = None if extent is None else grid.share_of(*extent)
    if share is not None and share < _WHOLE:
        text = translate(
            "ScasNet",
            "Only {share:.1%} of the extent overlaps the image: the map is clipped to the image.",
        )
        progress.info(message(text, share=share))


def log_backend(backend: OnnxBackend, progress: Progress) -> None:
    """What the model runs on."""
    text = translate("ScasNet", "The model runs on {provider}.")
    progress.info(message(text, provider=describe(backend)))
    for note in backend.notes:
        progress.info(note)
    log_warnings(backend, 0, progress)


def log_warnings(backend: OnnxBackend, logged: int, progress: Progress) -> None:
    """What went otherwise than asked for, but for the first ``logged``, which are known."""
    for warning in backend.warnings[logged:]:
        progress.warn(warning)


def log_plan(plan: TilePlan, overlap: int, progress: Progress) -> None:
    """Tiles and their overlap; a single one has none."""
    sizes = {"rows": plan.vertical.size, "cols": plan.horizontal.size}
    if plan.count == 1:
        text = translate("ScasNet", "1 tile of {cols} columns x {rows} rows.")
        progress.info(message(text, **sizes))
        return
    text = translate(
        "ScasNet",
        "{count:,} tiles of {cols} columns x {rows} rows each, which overlap by at least {overlap} "
        "pixels.",
    )
    progress.info(message(text, count=plan.count, overlap=overlap, **sizes))


def log_augmentation(augmentation: Augmentation, progress: Progress) -> None:
    """What is averaged; nothing where nothing is."""
    if not augmentation.is_none:
        progress.info(_averaged(augmentation))


def log_refinements(steps: RefinementSteps, progress: Progress) -> None:
    """What is done to the labels; nothing where nothing is."""
    for step in steps.all:
        progress.info(step.sentence)


def _averaged(augmentation: Augmentation) -> Message:
    """Scales only where there are others than 1, views only where there are several."""
    several = len(augmentation.views) > 1
    if augmentation.scales == (1.0,):
        text = translate(
            "ScasNet",
            "Scores are averaged over {views} views of each tile, which takes about {cost:.1f} "
            "times as long.",
        )
    elif len(augmentation.scales) > 1 and several:
        text = translate(
            "ScasNet",
            "Scores are averaged over the scales {scales} and {views} views of each tile, which "
            "takes about {cost:.1f} times as long.",
        )
    elif len(augmentation.scales) > 1:
        text = translate(
            "ScasNet",
            "Scores are averaged over the scales {scales}, which takes about {cost:.1f} times as "
            "long.",
        )
    elif several:
        text = translate(
            "ScasNet",
            "Scores are computed at the scale {scales} and averaged over {views} views of each "
            "tile, which takes about {cost:.1f} times as long.",
        )
    else:
        text = translate(
            "ScasNet",
            "Scores are computed at the scale {scales}, which takes about {cost:.1f} times as "
            "long.",
        )
    scales, views = describe_scales(augmentation.scales), len(augmentation.views)
    return message(text, scales=scales, views=views, cost=augmentation.cost)


def describe(backend: OnnxBackend) -> str:
    """Which execution provider ran, on which card or with how many threads."""
    parts = [backend.provider]
    if backend.device_name:
        parts.append(backend.device_name)
    if backend.provider in ON_PROCESSOR:
        parts.append(f"{backend.threads} thread" + ("s" if backend.threads != 1 else ""))
    if backend.eight_bit:
        parts.append("labels only" if backend.gives_labels else "8-bit scores")
    return ", ".join(parts)
