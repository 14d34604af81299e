"""One training from request to model file: what the training process does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.file_errors import check_ending, check_target
from scasnet_qgis.common.messages import message, translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.labels.labels import LabelClass
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.data.normalisation import measure
from scasnet_qgis.training.data.scenes import load_scenes
from scasnet_qgis.training.data.sources import expand
from scasnet_qgis.training.data.split import Split
from scasnet_qgis.training.loop import Trainer
from scasnet_qgis.training.model_export import export_checkpoint, sample_of
from scasnet_qgis.training.run_folder import SCENES, claim, forget_unbegun
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.summary import data_facts, save_outcome
from scasnet_qgis.training.weights import BEST

PREPARING, LEARNING = 0.05, 0.97  # of the progress: up to here data are read, then learned from


def train_task(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train as ``request`` says: ``config`` (the settings), ``output`` (.onnx), ``work`` (folder).

    ``command`` may say how to repeat the run. Returns what is known of the best network and
    whether the run was cancelled; the model file is written in both cases. Raises a ScasNetError,
    Cancelled where there is no network yet.
    """
    config = TrainingConfig.of(dict(request["config"]))
    output, work = Path(request["output"]), Path(request["work"])
    check_ending(output, ".onnx")
    check_target(output)
    with gdal_session(), _nothing_empty_left(work):
        trainer = prepared(config, work, progress)
        resumed = trainer.step > 0
        cancelled = False
        try:
            trainer.run()
        except Cancelled:
            cancelled = True
        best = Checkpoint.load(work / BEST)
        if best is None:
            raise Cancelled
        if cancelled:
            _tell_cancelled(best, progress)
        check = export_checkpoint(best, output, sample_of(trainer.validation, best.state))
        text = translate("ScasNet", "The model file differs from the network by at most {value}.")
        progress.info(message(text, value=f"{check.difference:.1e}"))
        save_outcome(work, trainer, best, not cancelled, str(request.get("command", "")))
    if not cancelled:
        shutil.rmtree(work / SCENES, ignore_errors=True)
    progress.report(1.0)
    return {
        "overall_accuracy": best.state["overall_accuracy"],
        "mean_iou": best.state["mean_iou"],
        "iou": best.state["iou"],
        "steps": trainer.step,
        "epochs": round(trainer.schedule.epoch(trainer.step), 3),
        "resumed": resumed,
        "cancelled": cancelled,
    }


@contextmanager
def _nothing_empty_left(work: Path) -> Iterator[None]:
    """A training that fails before it has learned anything leaves no folder."""
    try:
        yield
    except BaseException:
        forget_unbegun(work)
        raise


def prepared(config: TrainingConfig, work: Path, progress: Progress) -> Trainer:
    """A trainer in its work folder, from the start or from where it stopped."""
    sources = expand(config.data, Path(config.folder))
    if claim(work, config, sources, progress):
        text = translate("ScasNet", "Resuming the training in {folder}.")
        progress.info(message(text, folder=work))
    scenes = load_scenes(
        sources,
        label_classes(config),
        config.bands,
        config.band_numbers,
        work / SCENES,
        Split(config.validation_share, config.seed, config.block),
        Stage(progress, 0.0, PREPARING),
    )
    normalisation = measure(scenes[0], config.value_range)
    learning = Stage(progress, PREPARING, LEARNING)
    facts = data_facts(sources, *scenes)
    return Trainer(config, work, scenes, normalisation, facts, learning)


def label_classes(config: TrainingConfig) -> list[LabelClass]:
    """The classes in the terms of the labels."""
    return [
        LabelClass(str(entry["value"]), str(entry["name"]), str(entry["color"]))
        for entry in config.classes
    ]


def _tell_cancelled(best: Checkpoint, progress: Progress) -> None:
    text = translate(
        "ScasNet",
        "The training was cancelled: the model file holds the best model so far (mean IoU "
        "{iou:.3f}). Run the same again to continue.",
    )
    progress.warn(message(text, iou=float(best.state["mean_iou"])))
