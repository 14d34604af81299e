"""The parameters of ``scasnet:segment`` as what a map is made from, and what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
)

from scasnet_qgis import paths
from scasnet_qgis.algorithms import refinement_parameters as refinements
from scasnet_qgis.algorithms import segment_parameters as names
from scasnet_qgis.algorithms.input_parameters import EXTENT
from scasnet_qgis.algorithms.mask_input import read_mask
from scasnet_qgis.algorithms.rendered_input import is_rendered, read_rendered
from scasnet_qgis.algorithms.run_parameters import RESUME
from scasnet_qgis.algorithms.value_parameters import value_range_of
from scasnet_qgis.core.ensemble import Looks, describe_scales, parse_scales
from scasnet_qgis.core.errors import InputError, SettingError
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping import MapRequest, MapResult
from scasnet_qgis.models.model_file import ModelInfo, inspect
from scasnet_qgis.raster.class_map import ClassArea


def model_of(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> ModelInfo:
    """The model that is chosen, or the plugin's own; raises ModelError."""
    chosen = algorithm.parameterAsFile(parameters, names.MODEL, context)
    return inspect(Path(chosen) if chosen else paths.default_model())


def looks_of(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> Looks:
    """Scales and flips; raises SettingError for scales that cannot be read."""
    scales = parse_scales(algorithm.parameterAsString(parameters, refinements.SCALES, context))
    return Looks(scales, algorithm.parameterAsEnumString(parameters, refinements.FLIPS, context))


def layers_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> dict[str, Any]:
    """What the layers say, by the names of a MapRequest.

    Call it in the main thread; raises InputError and SettingError.
    """
    layer = algorithm.parameterAsRasterLayer(parameters, names.INPUT, context)
    if layer is None:
        text = translate("ScasNet", "The image cannot be opened: choose a raster file or layer.")
        raise InputError(text)
    extent = None
    if parameters.get(EXTENT) not in (None, ""):
        box = algorithm.parameterAsExtent(parameters, EXTENT, context, layer.crs())
        if box.isNull():
            text = translate("ScasNet", "The extent is empty: choose another extent, or none.")
            raise SettingError(text)
        extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    image = {"source": layer.source(), "extent": extent, **reference_of(layer)}
    if is_rendered(layer):
        card = model_of(algorithm, parameters, context).card
        image = read_rendered(algorithm, parameters, context, layer, extent, card)
    return {**image, **read_mask(algorithm, parameters, context, feedback)}


def reference_of(layer: QgsRasterLayer) -> dict[str, Any]:
    """The layer's reference system: one that the user set wins over that of the file."""
    wkt = layer.crs().toWkt() if layer.crs().isValid() else ""
    own = layer.dataProvider().crs()
    return {"fallback_wkt": wkt, "layer_wins": own.isValid() and own != layer.crs()}


def request_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    layers: dict[str, Any],
    files: dict[str, str],
) -> MapRequest:
    """What is to be mapped and how; ``layers`` is what ``layers_of`` gave.

    ``files`` are the paths of the outputs, by their parameters: QGIS makes up another name for a
    temporary file each time it is asked. Raises ModelError and SettingError.
    """
    probabilities = files.get(names.PROBABILITIES)

    def integer(name: str) -> int | None:
        if parameters.get(name) in (None, ""):
            return None
        return int(algorithm.parameterAsInt(parameters, name, context))

    return MapRequest(
        model=model_of(algorithm, parameters, context),
        output=Path(files[names.OUTPUT]),
        probabilities=Path(probabilities) if probabilities else None,
        bands=tuple(algorithm.parameterAsInts(parameters, names.BANDS, context)),
        device=algorithm.parameterAsEnumString(parameters, names.DEVICE, context),
        tile_size=integer(names.TILE_SIZE),
        overlap=integer(names.OVERLAP),
        batch=algorithm.parameterAsInt(parameters, names.BATCH_SIZE, context),
        threads=algorithm.parameterAsInt(parameters, names.THREADS, context),
        resample=algorithm.parameterAsBool(parameters, names.RESAMPLE, context),
        looks=looks_of(algorithm, parameters, context),
        min_confidence=algorithm.parameterAsDouble(parameters, refinements.MIN_CONFIDENCE, context),
        sieve=algorithm.parameterAsDouble(parameters, refinements.SIEVE, context),
        sieve_unit=algorithm.parameterAsEnumString(parameters, refinements.SIEVE_UNIT, context),
        value_range=value_range_of(algorithm, parameters, context),
        resume=algorithm.parameterAsBool(parameters, RESUME, context),
        **layers,
    )


def output_values(request: MapRequest, result: MapResult) -> dict[str, Any]:
    """The values of all outputs but the files."""
    return {
        names.CLASS_STATISTICS: json.dumps(
            [{**asdict(each), "area": round(each.area, 2)} for each in result.areas]
        ),
        names.AREA_UNIT: result.area_unit,
        names.SECONDS: round(result.seconds, 2),
        names.MEGAPIXELS_PER_SECOND: round(result.megapixels_per_second, 3),
        names.PROVIDER: result.provider,
        names.MODEL_NAME: request.model.card.name,
        refinements.SCALES_USED: describe_scales(request.looks.scales),
        refinements.FLIPS_USED: request.looks.flips,
        refinements.UNCERTAIN_PIXELS: result.counts.uncertain_pixels,
        refinements.SIEVED_PIXELS: result.counts.merged_pixels,
    }


def result_lines(request: MapRequest, result: MapResult) -> list[str]:
    """The outcome for the log: a line a class, then what has no data, then the speed."""
    total = sum(each.pixels for each in result.areas)
    uncertain = result.counts.uncertain_pixels
    lines = [_class_line(each, total, result.area_unit) for each in result.areas]
    if not total and not uncertain:
        text = translate("ScasNet", "The image holds no data here, so the map is empty.")
        if request.mask:
            text = translate("ScasNet", "The image holds no data in the mask: the map is empty.")
        lines.append(text)
    elif result.nodata_pixels:
        text = translate("ScasNet", "without data: {pixels:,} pixels")
        if request.mask:
            text = translate("ScasNet", "without data or outside of the mask: {pixels:,} pixels")
        lines.append(text.format(pixels=result.nodata_pixels))
    if uncertain:
        text = translate("ScasNet", "without a class, as too uncertain: {pixels:,} pixels")
        lines.append(text.format(pixels=uncertain))
    text = translate(
        "ScasNet",
        "Tiles computed: {computed}, without data: {skipped}; {seconds:.1f} seconds, "
        "{speed:.2f} megapixels a second on {provider}",
    )
    lines.append(
        text.format(
            computed=result.report.computed_tiles,
            skipped=result.report.skipped_tiles,
            seconds=result.seconds,
            speed=result.megapixels_per_second,
            provider=result.provider,
        )
    )
    if result.kept > 0:
        text = translate(
            "ScasNet",
            "The classes are those of the whole map; tiles, seconds and speed are those of this "
            "run, without the {share:.0%} of the map that was kept of an interrupted one.",
        )
        lines.append(text.format(share=result.kept))
    return lines


def _class_line(each: ClassArea, total: int, unit: str) -> str:
    share = each.pixels / total if total else 0.0
    line = translate("ScasNet", "{name}: {pixels:,} pixels, {share:.1%}")
    text = line.format(name=each.name, pixels=each.pixels, share=share)
    if unit == "pixels":  # the raster has no position, so there is no area to add
        return text
    return text + (f", {each.area:,.0f} {unit}" if each.area >= 10 else f", {each.area:.2f} {unit}")
