"""One training from request to model file, and the work folder that it lives in."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from osgeo import gdal, ogr

from scasnet_qgis.common import options
from scasnet_qgis.common.errors import Cancelled, OutputError
from scasnet_qgis.common.file_errors import check_ending, check_target
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.images.reader import file_of
from scasnet_qgis.labels.labels import LabelClass
from scasnet_qgis.training.checkpoint import BEST, CHECKPOINT, Checkpoint
from scasnet_qgis.training.data.normalisation import measure
from scasnet_qgis.training.data.scenes import load_scenes
from scasnet_qgis.training.data.sources import Source, expand
from scasnet_qgis.training.data.split import Split
from scasnet_qgis.training.loop import Trainer
from scasnet_qgis.training.model_export import export_checkpoint, sample_of
from scasnet_qgis.training.run_log import LOG
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.summary import data_facts, save_outcome

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
        export_checkpoint(best, output, sample_of(trainer.validation, best.state), progress)
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
    """A training that fails before it has learned anything leaves no folder of its own."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # there is no folder
            if {path.name for path in work.iterdir()} <= {CONFIG, LOG, SCENES}:
                shutil.rmtree(work)
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
        "The training was cancelled: the model file has the best model so far (mean IoU "
        "{iou:.3f}). Run it again to resume.",
    )
    progress.warn(message(text, iou=float(best.state["mean_iou"])))


CONFIG, SCENES = "config.json", "scenes"


def identity(config: TrainingConfig, sources: Sequence[Source]) -> dict[str, Any]:
    """What makes this training the one it is: settings and data, as JSON values.

    Rasters count by name, size and time; drawn labels by their content, because QGIS hands over
    a layer that is no file under a new name each time.
    """
    data = [
        [source.name, source.role, source.by_place, _file(source.image), _labels(source)]
        for source in sources
    ]
    whole = {"settings": options.identity(config), "data": json.loads(json.dumps(data))}
    found: dict[str, Any] = redacted(whole)
    return found


def _file(path: str) -> list[Any]:
    try:
        status = Path(file_of(path)).stat()
    except OSError:  # a virtual path of GDAL's
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def _labels(source: Source) -> list[Any]:
    if not source.field:
        return _file(source.labels)
    dataset = gdal.OpenEx(source.labels, gdal.OF_VECTOR)
    layer = dataset.GetLayerByName(source.layer) if source.layer else dataset.GetLayer(0)
    digest = hashlib.sha256()
    for feature in layer:
        geometry: ogr.Geometry | None = feature.GetGeometryRef()
        digest.update(bytes(geometry.ExportToWkb()) if geometry is not None else b"none")
        digest.update(str(feature.GetField(source.field)).encode())
    return [source.field, digest.hexdigest()]


def claim(
    work: Path, config: TrainingConfig, sources: Sequence[Source], progress: Progress
) -> bool:
    """Make ``work`` the folder of this training; True where it goes on with what is there.

    A training with other settings or data, or one that reached its end, is put aside under another
    name: nothing is lost. With another end, a finished one goes on.
    """
    wanted = identity(config, sources)
    saved = Checkpoint.load(work / CHECKPOINT) if work.exists() else None
    if saved is not None:
        reason = _difference(config, wanted, _identity_in(work), saved)
        if reason is None:
            _forget_later(work / LOG, int(saved.state["step"]))
            return True
        _put_aside(work, reason, progress)
    try:
        # Without a checkpoint, what an earlier start may have left counts for nothing.
        shutil.rmtree(work / BEST, ignore_errors=True)
        (work / LOG).unlink(missing_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        (work / CONFIG).write_text(json.dumps(wanted, indent=1), encoding="utf-8")
    except OSError as error:
        text = translate(
            "ScasNet", "{folder} cannot be written: choose another folder for the model."
        )
        raise OutputError(text, str(error), folder=work) from error
    return False


def _difference(
    config: TrainingConfig, wanted: dict[str, Any], found: Any, saved: Checkpoint
) -> str | None:
    """Why the training in a folder cannot go on as it is wanted now; None where it can."""
    if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
        return translate("ScasNet", "its settings cannot be read")
    if found.get("data") != wanted["data"]:
        return translate("ScasNet", "the images or labels differ")
    reason = options.difference(config, found["settings"])
    if reason is None and saved.state.get("finished") and saved.state.get("ends") == config.ends:
        return translate("ScasNet", "it has ended")
    return reason


def _identity_in(work: Path) -> Any:
    try:
        return json.loads((work / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _forget_later(log: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: it is going to be done, and logged, again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        log.write_text("".join(kept), encoding="utf-8")


def _put_aside(work: Path, reason: str, progress: Progress) -> None:
    number = 1
    while (aside := work.with_name(f"{work.name}_{number}")).exists():
        number += 1
    shutil.rmtree(work / SCENES, ignore_errors=True)  # large, and made again when needed
    work.replace(aside)
    text = translate(
        "ScasNet", "An earlier training cannot be resumed ({reason}) and was kept as {folder}."
    )
    progress.warn(message(text, reason=Message(reason), folder=aside))
