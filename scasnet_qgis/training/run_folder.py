"""The folder in which a training lives: whose it is, and whether a run goes on in it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from osgeo import gdal, ogr

from scasnet_qgis.common import options
from scasnet_qgis.common.errors import OutputError
from scasnet_qgis.common.messages import Message, message, translate
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.common.redaction import redacted
from scasnet_qgis.images.reader import file_of
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.data.sources import Source
from scasnet_qgis.training.run_log import LOG
from scasnet_qgis.training.settings.config import TrainingConfig
from scasnet_qgis.training.weights import BEST

CONFIG, CHECKPOINT, SCENES = "config.json", "checkpoint", "scenes"


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


def forget_unbegun(work: Path) -> None:
    """Remove the folder of a training that has learned nothing yet, if nothing else lies in it."""
    with suppress(OSError):  # there is no folder
        if {path.name for path in work.iterdir()} <= {CONFIG, LOG, SCENES}:
            shutil.rmtree(work)


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
        "ScasNet", "An earlier training cannot continue, {reason}: it was kept as {folder}."
    )
    progress.warn(message(text, reason=Message(reason), folder=aside))
