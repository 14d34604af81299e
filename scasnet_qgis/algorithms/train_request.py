"""The parameters of ``scasnet:train`` as the settings that the training process reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingFeedback

from scasnet_qgis.algorithms import train_names as names
from scasnet_qgis.algorithms.base import sentence_of, translated
from scasnet_qgis.algorithms.train_bands import band_numbers, model_bands
from scasnet_qgis.algorithms.train_data import TrainingData
from scasnet_qgis.core.card import check_class_count
from scasnet_qgis.core.errors import InputError, OutputError, ScasNetError, SettingError
from scasnet_qgis.core.messages import Message, message, translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.raster.session import gdal_session
from scasnet_qgis.training import report as reports
from scasnet_qgis.training.sources import VALIDATION, Source, expand

DEFAULT_START = "default"  # as in training/config.py: the model that comes with the plugin
_STARTS = (".onnx", ".safetensors", ".caffemodel")


def config_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    data: TrainingData,
    progress: Progress,
) -> dict[str, Any]:
    """All settings (training/config.py); the log names the classes and the bands.

    Raises SettingError and InputError.
    """
    with gdal_session():
        sources = expand(data.entries, Path())
        classes = class_entries(data, sources, progress)
        text = translate("ScasNet", "Classes: {names}")
        progress.info(message(text, names=", ".join(each["name"] for each in classes)))
        settings = settings_of(algorithm, parameters, context, data, sources[0].image)
        text = translate("ScasNet", "Bands of the model: {names}")
        progress.info(message(text, names=", ".join(settings["bands"])))
    return {"data": data.entries, "classes": classes, **settings}


def settings_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    data: TrainingData,
    image: str,
) -> dict[str, Any]:
    """The settings (training/config.py) but for the data and the classes.

    ``image`` says which bands there are. What the user left open is left out. To be used within
    a gdal_session. Raises SettingError.
    """

    def number(name: str, whole: bool = False) -> float | int | None:
        given = parameters.get(name, algorithm.parameterDefinition(name).defaultValue())
        if given in (None, ""):
            return None
        read = algorithm.parameterAsInt if whole else algorithm.parameterAsDouble
        value: float | int = read(parameters, name, context)
        return value

    def word(name: str) -> str:
        return str(algorithm.parameterAsEnumString(parameters, name, context))

    def text(name: str) -> str:
        return str(algorithm.parameterAsString(parameters, name, context) or "").strip()

    variant, width = names.NETWORKS[word(names.NETWORK)]
    share = algorithm.parameterAsDouble(parameters, names.VALIDATION, context)
    chosen = parameters.get(names.BANDS)
    chosen = chosen if isinstance(chosen, (list, tuple)) else text(names.BANDS)
    bands, numbers = model_bands(image, band_numbers(chosen))
    found = {
        "bands": bands,
        "band_numbers": numbers,
        "validation_share": validation_share(share, data),
        "variant": variant,
        "width": number(names.WIDTH) or width,
        "start_from": start_from(text(names.START_FROM)),
        "epochs": number(names.EPOCHS, whole=True),
        "time_budget": number(names.TIME_BUDGET),
        "crop": algorithm.parameterAsInt(parameters, names.TILE_SIZE, context),
        "batch": algorithm.parameterAsInt(parameters, names.BATCH_SIZE, context),
        "learning_rate": number(names.LEARNING_RATE),
        "optimizer": word(names.OPTIMIZER),
        "head_rate": number(names.HEAD_RATE),
        "device": word(names.DEVICE),
        "threads": algorithm.parameterAsInt(parameters, names.THREADS, context),
        "seed": algorithm.parameterAsInt(parameters, names.SEED, context),
        "card": {"name": text(names.MODEL_NAME)} if text(names.MODEL_NAME) else {},
    }
    return {key: each for key, each in found.items() if each is not None}


def validation_share(share: float, data: TrainingData) -> float:
    """The share that is kept apart, 0 where there are images for validation."""
    if any(each["role"] == VALIDATION for each in data.entries):
        return 0.0
    share = share / 100.0 if share >= 1.0 else share
    if share <= 0.0:
        raise SettingError(
            translate(
                "ScasNet",
                "Without a share for validation nobody would know how good the model is: choose "
                "one above 0, as in 0.2, or images for validation.",
            )
        )
    return share


def class_entries(
    data: TrainingData, sources: Sequence[Source], progress: Progress
) -> list[dict[str, Any]]:
    """All classes of the labels, each value once; names and colours are those met first.

    ``sources`` are the data with the folders taken apart.

    Raises InputError where there are fewer than two or more than a map can hold.
    """
    found: dict[str, LabelClass] = {}
    for each in _classes_by_source(data, sources, progress):
        for one in each:
            found.setdefault(one.value, one)
    names_met: set[str] = set()
    entries = []
    for one in found.values():
        name = one.name if one.name not in names_met else f"{one.name} ({one.value})"
        names_met.add(name)
        entries.append({"value": one.value, "name": name, "color": one.color})
    return _enough(entries)


def _classes_by_source(
    data: TrainingData, sources: Sequence[Source], progress: Progress
) -> Iterator[Sequence[LabelClass]]:
    known = {(each.path, each.layer, each.field): each.classes for each in data.labels}
    for key in dict.fromkeys((each.labels, each.layer, each.field) for each in sources):
        progress.check()
        path, layer, field = key
        yield known.get(key) or classes_of(path, layer=layer, field=field, progress=Quiet(progress))


class Quiet(Progress):
    """Hears a cancel, but does not show how far it is: this is a small part of the whole."""

    def __init__(self, whole: Progress) -> None:
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled


def _enough(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(entries) < 2:
        raise InputError(
            translate(
                "ScasNet",
                "The labels hold {count} class ({name}), but a model needs at least two to tell "
                "apart: add labels of another class.",
            ),
            count=len(entries),
            name=entries[0]["name"] if entries else "-",
        )
    check_class_count(len(entries))
    return entries


def start_from(chosen: str) -> str:
    """START_FROM in the words of the settings; raises SettingError where it is no such file."""
    if not chosen:
        return DEFAULT_START
    path = Path(chosen)
    if path.name.lower() == names.NOTHING and not path.exists():
        return names.NOTHING
    if not path.exists():
        raise SettingError(
            translate(
                "ScasNet",
                "{path}, which the training is to start from, does not exist: choose another "
                "file, or write nothing.",
            ),
            path=path,
        )
    if path.is_file() and path.suffix.lower() not in _STARTS and path.name != "state.json":
        raise SettingError(
            translate(
                "ScasNet",
                "A training cannot start from {name}: choose a model (.onnx), weights "
                "(.safetensors or .caffemodel) or the folder of a training.",
            ),
            name=path.name,
        )
    return str(path.absolute())


def work_folder(model: Path) -> Path:
    """Where a training keeps what a later run goes on from."""
    return model.with_name(f"{model.stem}_training")


def check_targets(model: Path, report: Path | None, start: str) -> None:
    """Raise OutputError where the results could not be written, before hours are spent."""
    if model.suffix.lower() != ".onnx":
        raise OutputError(
            translate("ScasNet", "The model {name} needs a name that ends in .onnx."),
            name=model.name or str(model),
        )
    for each in (model, report):
        if each is not None:
            _check_target(each)
    if model.absolute() == Path(start):
        raise OutputError(
            translate(
                "ScasNet",
                "The model {model} is the one that training starts from: choose another name.",
            ),
            model=model,
        )


def _check_target(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(
            translate("ScasNet", "The folder {parent} does not exist: create it first."),
            parent=path.parent,
        )
    writable = os.access(path if path.exists() else path.parent, os.W_OK)
    if path.is_dir() or not writable or not os.access(path.parent, os.W_OK):
        raise OutputError(
            translate(
                "ScasNet",
                "{output} cannot be written: choose a folder in which you may create files and "
                "another name.",
            ),
            output=path,
        )


def output_values(result: dict[str, Any]) -> dict[str, Any]:
    """The values of all outputs but the files, from what the training process gave."""
    return {
        names.OVERALL_ACCURACY: result["overall_accuracy"],
        names.MEAN_IOU: result["mean_iou"],
        names.CLASS_ACCURACY: json.dumps(result["iou"], ensure_ascii=False),
        names.EPOCHS_DONE: result["epochs"],
        names.STEPS: result["steps"],
        names.RESUMED: bool(result["resumed"]),
    }


def write_report(model: Path, report: Path, feedback: QgsProcessingFeedback) -> bool:
    """Whether the report was written; without it the model is still there, and not lost."""
    try:
        reports.write_report(work_folder(model), report, lambda text: translated(Message(text)))
    except ScasNetError as error:
        feedback.pushWarning(sentence_of(error))
        return False
    return True
