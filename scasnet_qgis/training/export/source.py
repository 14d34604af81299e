"""The exact model that an export starts from: a file in single precision, and what to show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scasnet_qgis.common.errors import ModelError, SettingError, TrainingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.model_file import ModelInfo, inspect
from scasnet_qgis.models.onnx_proto import contents
from scasnet_qgis.training.export.calibration_tiles import RasterSample
from scasnet_qgis.training.export.request import ExportRequest

_SIDE = 400  # pixels; on windows of this size a fresh file is compared with PyTorch
_DEMO_RANGE = (0.0, 255.0)


@dataclass(frozen=True)
class ExactModel:
    """``difference``: the largest one of a probability from PyTorch, None for a model file."""

    info: ModelInfo
    sample: RasterSample
    difference: float | None = None


def exact_model(request: ExportRequest, folder: Path, progress: Progress) -> ExactModel:
    """The model in single precision; that of a checkpoint is written into ``folder``."""
    if request.is_model:
        info = inspect(request.source)
        return ExactModel(info, _sample(request, info.card, progress))
    # PyTorch is needed here only: a model file is converted without it.
    from scasnet_qgis.training.checkpoint import Checkpoint, checkpoint_folder

    place = checkpoint_folder(request.source)
    saved = None if place is None else Checkpoint.load(place)
    if place is None or saved is None:
        text = translate(
            "ScasNet",
            "{path} is neither a model (.onnx) nor a checkpoint of a training: choose the "
            "training's folder or a file in its folder best.",
        )
        raise TrainingError(text, path=request.source)
    try:
        return _exported(saved, request, folder / "exact.onnx", progress)
    except (KeyError, TypeError, RuntimeError) as error:  # what is missing, or of another shape
        text = translate(
            "ScasNet",
            "The checkpoint {folder} was made by another version of this plugin: export the model "
            "file of that training instead.",
        )
        raise TrainingError(text, f"{type(error).__name__}: {error}", folder=place) from error


def _exported(saved: Any, request: ExportRequest, target: Path, progress: Progress) -> ExactModel:
    import torch

    from scasnet_qgis.training.model_export import build_card, export_checkpoint

    sample = _sample(request, build_card(saved.state), progress)
    windows = sample.divide((_SIDE, _SIDE)).comparison[:2]
    tiles = np.stack([sample.read(window)[0] for window in windows])
    difference = export_checkpoint(saved, target, torch.from_numpy(tiles), progress)
    return ExactModel(inspect(target), sample, difference)


def _sample(request: ExportRequest, card: ModelCard, progress: Progress) -> RasterSample:
    """The user's raster, or the demo image for a model that takes images like it."""
    if request.raster:
        return RasterSample(request.raster, card, request.bands, progress)
    if not request.demo or len(card.bands) != 3 or card.value_range != _DEMO_RANGE:
        text = translate(
            "ScasNet",
            "The exported model is compared with the original on an image: choose a calibration "
            "raster with the bands {names}.",
        )
        raise SettingError(text, names=", ".join(card.bands))
    return RasterSample(request.demo, card, (1, 2, 3), progress)


def check_source(model: ModelInfo, fixed_size: int | None) -> None:
    """Raise ModelError or SettingError unless ``model`` can be converted as it is wanted."""
    stored = contents(model.path).precision or "float32"
    if model.card.precision not in ("", "float32"):
        stored = model.card.precision
    if stored != "float32" or model.input_type != "float32":
        text = translate(
            "ScasNet",
            "{name} is not in single precision (fp32): choose the model that it was made from, or "
            "its training.",
        )
        raise ModelError(text, f"weights {stored}, input {model.input_type}", name=model.path.name)
    if fixed_size and model.fixed_size not in (None, (fixed_size, fixed_size)):
        text = translate(
            "ScasNet",
            "{name} already has a fixed tile size of {rows} x {cols} pixels: leave the fixed tile "
            "size empty.",
        )
        raise SettingError(
            text,
            name=model.path.name,
            rows=(model.fixed_size or (0, 0))[0],
            cols=(model.fixed_size or (0, 0))[1],
        )
