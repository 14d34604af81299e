"""``scasnet:segment``: a raster and a model in, a styled land-cover map out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from scasnet_qgis import paths, settings
from scasnet_qgis.common.messages import message
from scasnet_qgis.i18n import translate
from scasnet_qgis.mapping.refinements import REFINEMENTS
from scasnet_qgis.mapping.settings import (
    DeviceOptions,
    ImageInput,
    MapSettings,
    OutputFiles,
    RunOptions,
    TilingOptions,
    WebLayerOptions,
)
from scasnet_qgis.qgis_ui.processing.base import (
    FeedbackProgress,
    ScasNetAlgorithm,
    is_temporary,
    translated,
)
from scasnet_qgis.qgis_ui.processing.parameters import (
    declare,
    extent_parameter,
    mask_parameter,
    read,
)
from scasnet_qgis.tiling.augmentation import Augmentation, describe_scales

if TYPE_CHECKING:
    from scasnet_qgis.mapping.job import MapResult
    from scasnet_qgis.models.model_file import ModelInfo
    from scasnet_qgis.outputs.class_map import ClassArea

INPUT, MODEL, OUTPUT, PROBABILITIES = "INPUT", "MODEL", "OUTPUT", "PROBABILITIES"


class Segment(ScasNetAlgorithm):
    """Applies a segmentation model to a raster, window by window."""

    def __init__(self) -> None:
        super().__init__()
        self._image: dict[str, Any] = {}
        self._temporary = False

    def name(self) -> str:
        return "segment"

    def displayName(self) -> str:
        return translate("ScasNet", "Map land cover")

    def shortDescription(self) -> str:
        return translate("ScasNet", "Turns an aerial or satellite image into a land-cover map.")

    def shortHelpString(self) -> str:
        return translate(
            "ScasNet",
            "Classifies land cover: each pixel of the image gets the class that the model finds "
            "most probable.\n\nThe image may be of any size; it is processed in tiles, which "
            "overlap and are blended so that no edges show. A run that is cancelled or fails "
            "leaves no map; run again with the same settings, it resumes.\n\nThe built-in model "
            "was trained on satellite images of Dubai at about 1 m ground resolution and "
            "distinguishes building, land, road, vegetation and water. For other regions, expect "
            "to need a model trained for your landscape.",
        )

    def keywords(self) -> str:
        return translate("ScasNet", "land cover,classification,segmentation,deep learning,onnx")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_inputs()
        self._add_destinations()
        declare(self, ImageInput, "resample", "value_range")
        for declared in (Augmentation, *REFINEMENTS):
            declare(self, declared)
        declare(self, DeviceOptions, "device", device=settings.default_device())
        declare(self, TilingOptions)
        declare(self, DeviceOptions, "batch", "threads")
        declare(self, WebLayerOptions)
        declare(self, RunOptions)
        self._add_outputs()

    def _add_inputs(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, translate("ScasNet", "Image")),
            translate(
                "ScasNet",
                "Aerial or satellite image of any size. The map gets the same pixel grid and CRS. "
                "A web layer (XYZ tiles, WMS and others) is rendered within the extent.",
            ),
        )
        label = translate("ScasNet", "Model (empty: built-in)")
        kind = QgsProcessingParameterFile.Behavior.File
        self.add(
            QgsProcessingParameterFile(MODEL, label, kind, "onnx", None, True),
            translate(
                "ScasNet",
                "Model file (.onnx) made by this plugin, or a segmentation model made for Deepness "
                "or GeoDeep. Leave empty for the built-in model (building, land, road, vegetation, "
                "water).",
            ),
        )
        declare(self, ImageInput, "bands")
        self.add(
            extent_parameter(),
            translate(
                "ScasNet",
                "Part of the image to map. Leave empty for the whole image; web layers need one.",
            ),
        )
        self.add(
            mask_parameter(),
            translate(
                "ScasNet",
                "Polygons to map, in any CRS: only pixels whose centre lies inside get a class. "
                "Areas far from all polygons cost no time. The map keeps the size of the image or "
                "the extent. Leave empty to map everything.",
            ),
        )

    def _add_destinations(self) -> None:
        self.add(
            QgsProcessingParameterRasterDestination(OUTPUT, translate("ScasNet", "Land cover")),
            translate(
                "ScasNet",
                "GeoTIFF with class names, colours and a style. Values start at 1 for the first "
                "class of the model; 0 is no data, outside the mask, or below the minimum "
                "confidence.",
            ),
        )
        label = translate("ScasNet", "Class probabilities")
        self.add(
            QgsProcessingParameterRasterDestination(PROBABILITIES, label, None, True, False),
            translate(
                "ScasNet",
                "Optional second GeoTIFF with one band per class: its probability from 0 to 1; -1 "
                "is no data.",
            ),
        )

    def _add_outputs(self) -> None:
        texts = {
            "CLASS_STATISTICS": translate("ScasNet", "Pixels and area of each class (JSON)"),
            "AREA_UNIT": translate("ScasNet", "Area unit"),
            "PROVIDER": translate("ScasNet", "Device that ran the model"),
            "MODEL_NAME": translate("ScasNet", "Model name"),
            "SCALES_USED": translate("ScasNet", "Averaged scales"),
            "FLIPS_USED": translate("ScasNet", "Averaged flips"),
        }
        numbers = {
            "SECONDS": translate("ScasNet", "Computing time (s)"),
            "MEGAPIXELS_PER_SECOND": translate("ScasNet", "Megapixels per second"),
        }
        for counted in (refinement.counted for refinement in REFINEMENTS):
            numbers[counted.output] = translated(message(counted.label))
        self.add_outputs(QgsProcessingOutputString, texts)
        self.add_outputs(QgsProcessingOutputNumber, numbers)

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self._model(parameters, context)
        for declared in (ImageInput, Augmentation, *REFINEMENTS):
            others = {"source": ""} if declared is ImageInput else {}
            read(self, parameters, context, declared, **others)

    def _model(self, parameters: dict[str, Any], context: QgsProcessingContext) -> ModelInfo:
        """The model that is chosen, or the built-in one; raises ModelError."""
        from scasnet_qgis.models.model_file import inspect

        chosen = self.parameterAsFile(parameters, MODEL, context)
        return inspect(Path(chosen) if chosen else paths.default_model())

    def read_layers(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        from scasnet_qgis.qgis_ui.layers.raster_inputs import read_image, read_mask

        card = self._model(parameters, context).card
        self._image = {
            **read_image(self, INPUT, parameters, context, card),
            **read_mask(self, parameters, context, feedback),
        }

    def compute(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        from scasnet_qgis.mapping.job import make_map
        from scasnet_qgis.qgis_ui.about.model_report import card_text
        from scasnet_qgis.qgis_ui.layers.styles import StyleOnLoad, style_map, write_qml
        from scasnet_qgis.qgis_ui.layers.web_layer import WaitingProgress

        files = self._files(parameters, context)
        self._temporary = is_temporary(Path(files[OUTPUT]))
        wanted = self._settings(parameters, context, files)
        card, image = wanted.model.card, wanted.image
        feedback.pushInfo(card_text(wanted.model))
        progress = WaitingProgress(feedback) if image.layer else FeedbackProgress(feedback)
        result = make_map(wanted, progress, write_qml)
        if context.willLoadLayerOnCompletion(files[OUTPUT]):
            details = context.layerToLoadOnCompletionDetails(files[OUTPUT])
            details.setPostProcessor(StyleOnLoad.of(style_map, card.classes))
        for line in result_lines(result, with_mask=bool(image.mask)):
            feedback.pushInfo(line)
        augmentation = {
            "SCALES_USED": describe_scales(wanted.augmentation.scales),
            "FLIPS_USED": wanted.augmentation.flips,
        }
        return {**files, **output_values(result), "MODEL_NAME": card.name, **augmentation}

    def _files(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The paths of the wanted outputs.

        Asked once: QGIS makes up another name for a temporary file each time. It knows the layers
        to load by the text of their path, however it is spelled.
        """
        files = {OUTPUT: self.parameterAsOutputLayer(parameters, OUTPUT, context)}
        if parameters.get(PROBABILITIES) not in (None, ""):
            second = self.parameterAsOutputLayer(parameters, PROBABILITIES, context)
            files.update({PROBABILITIES: second} if second else {})
        return files

    def _settings(
        self, parameters: dict[str, Any], context: QgsProcessingContext, files: dict[str, str]
    ) -> MapSettings:
        """Raises ModelError and SettingError."""
        second, temporary = files.get(PROBABILITIES), self._temporary
        return MapSettings(
            image=read(self, parameters, context, ImageInput, **self._image),
            model=self._model(parameters, context),
            output=OutputFiles(Path(files[OUTPUT]), Path(second) if second else None, temporary),
            tiling=read(self, parameters, context, TilingOptions),
            device=read(self, parameters, context, DeviceOptions),
            augmentation=read(self, parameters, context, Augmentation),
            refinements=tuple(read(self, parameters, context, kind) for kind in REFINEMENTS),
            run=read(self, parameters, context, RunOptions),
        )

    def cancelled_text(self) -> str:
        if self._temporary:
            return translate(
                "ScasNet",
                "Cancelled: no map was written. A run with a temporary output cannot be resumed; "
                "choose a file for the map to be able to.",
            )
        return super().cancelled_text()


def output_values(result: MapResult) -> dict[str, Any]:
    """The values of the outputs that a result tells."""
    counts = [refinement.counted for refinement in REFINEMENTS]
    return {
        "CLASS_STATISTICS": json.dumps(
            [{**asdict(area), "area": round(area.area, 2)} for area in result.areas]
        ),
        "AREA_UNIT": result.area_unit,
        "SECONDS": round(result.seconds, 2),
        "MEGAPIXELS_PER_SECOND": round(result.megapixels_per_second, 3),
        "PROVIDER": result.provider,
        **{counted.output: result.counts.refined.get(counted.key, 0) for counted in counts},
    }


def result_lines(result: MapResult, *, with_mask: bool) -> list[str]:
    """The outcome for the log: a line a class, then what has no class, then the speed."""
    total = sum(area.pixels for area in result.areas)
    lines = [_class_line(area, total, result.area_unit) for area in result.areas]
    if not total and not result.counts.unclassified:
        text = translate("ScasNet", "The image has no data here: the map is empty.")
        if with_mask:
            text = translate("ScasNet", "The image has no data inside the mask: the map is empty.")
        lines.append(text)
    elif result.nodata_pixels:
        text = translate("ScasNet", "no data: {pixels:,} pixels")
        if with_mask:
            text = translate("ScasNet", "no data or outside the mask: {pixels:,} pixels")
        lines.append(text.format(pixels=result.nodata_pixels))
    for counted in (refinement.counted for refinement in REFINEMENTS):
        pixels = result.counts.refined.get(counted.key, 0)
        if pixels and counted.summary:
            lines.append(translated(message(counted.summary, pixels=pixels)))
    text = translate(
        "ScasNet",
        "{computed} tiles computed, {skipped} skipped (no data); {seconds:.1f} s, {speed:.2f} "
        "megapixels per second on {provider}",
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
            "Class figures are for the whole map; tiles, time and speed are for this run only, "
            "without the {share:.0%} that an interrupted run had finished.",
        )
        lines.append(text.format(share=result.kept))
    return lines


def _class_line(area: ClassArea, total: int, unit: str) -> str:
    share = area.pixels / total if total else 0.0
    line = translate("ScasNet", "{name}: {pixels:,} pixels, {share:.1%}")
    text = line.format(name=area.name, pixels=area.pixels, share=share)
    if unit == "pixels":  # the raster has no position, so there is no area to add
        return text
    return f"{text}, {_area(area.area)}"


def _area(square_metres: float) -> str:
    """In m², ha or km², by its size."""
    if square_metres >= 1e6:
        return f"{square_metres / 1e6:,.2f} km²"
    if square_metres >= 1e4:
        return f"{square_metres / 1e4:,.2f} ha"
    return f"{square_metres:,.0f} m²" if square_metres >= 10 else f"{square_metres:.2f} m²"
