"""What a training leaves for its report: figures, settings, and a few mapped windows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scasnet_qgis.common.options import given
from scasnet_qgis.common.redaction import redacted, without_secrets
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import open_raster
from scasnet_qgis.tiling.windows import Window
from scasnet_qgis.training.checkpoint import Checkpoint
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.data.sources import Source
from scasnet_qgis.training.data.split import count_labels
from scasnet_qgis.training.evaluation import TorchBackend, forward_of, scaling_of
from scasnet_qgis.training.loop import Trainer
from scasnet_qgis.training.model_export import network_of
from scasnet_qgis.training.report import save_examples
from scasnet_qgis.training.settings.file_settings import classes_text

EXAMPLES = 6
EXAMPLE_SIZE = 384  # pixels
REPORT = "report"
_NAMES_SHOWN = 8


def data_facts(
    sources: Sequence[Source], training: Sequence[Scene], validation: Sequence[Scene]
) -> dict[str, Any]:
    """What the card and the report say about the data, as JSON values."""
    found = [Grid.of(open_raster(source.image)).resolution for source in sources]
    resolutions = [round(resolution, 4) for resolution in found if resolution is not None]
    return {
        "resolution": [min(resolutions), max(resolutions)] if resolutions else None,
        "training_data": f"{_names(training)}; {_megapixels(training)} labelled megapixels",
        "validation_data": f"{_names(validation)}; {_megapixels(validation)} labelled megapixels "
        "that were not trained on",
    }


def _names(scenes: Sequence[Scene]) -> str:
    names = list(dict.fromkeys(scene.name for scene in scenes))
    shown = without_secrets(", ".join(names[:_NAMES_SHOWN]))
    return shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN} more"


def _megapixels(scenes: Sequence[Scene]) -> str:
    counts = (
        count_labels(scene.labels, IGNORE, Window(0, 0, *scene.labels.shape)) for scene in scenes
    )
    return f"{sum(int(count.sum()) for count in counts) / 1e6:.3g}"


def save_outcome(
    work: Path, trainer: Trainer, best: Checkpoint, finished: bool, command: str
) -> None:
    """Write ``report/report.json`` and the examples into the work folder."""
    folder = work / REPORT
    folder.mkdir(exist_ok=True)
    examples = _examples(trainer, best)
    classes = best.state["config"]["classes"]
    save_examples(folder / "examples", examples, [str(entry["color"]) for entry in classes])
    config = trainer.config
    content = {
        "title": str(config.card.get("name", "")),
        "classes": [{"name": entry["name"], "color": entry["color"]} for entry in classes],
        **{key: best.state[key] for key in ("confusion", "overall_accuracy", "mean_iou", "iou")},
        "settings": {
            **given(config),
            "classes": classes_text(config.classes),
            "learning_rate": config.base_rate,
            "head_rate": config.head_factor,
            "device": trainer.device,
            "best_step": best.state["step"],
            "steps_done": trainer.step,
            "minutes": round(trainer.seconds / 60, 1),
            "normalisation": best.state["normalisation"],
        },
        "data": best.state["facts"],
        "command": command,
        "examples": len(examples),
        "finished": finished,
        "notes": [],
    }
    (folder / "report.json").write_text(json.dumps(redacted(content), indent=1), encoding="utf-8")


Example = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def _examples(trainer: Trainer, best: Checkpoint) -> list[Example]:
    """Image, truth and prediction of windows that hold many different labels."""
    network = network_of(best).to(trainer.device)
    backend = TorchBackend(
        forward_of(network, trainer.device), trainer.normalisation, len(trainer.config.classes)
    )
    scale = scaling_of(trainer.normalisation)
    found = []
    for scene, top, left in _places(trainer.validation):
        part = np.s_[top : top + EXAMPLE_SIZE, left : left + EXAMPLE_SIZE]
        valid = None if scene.valid is None else np.array(scene.valid[part])
        scaled = scale(np.array(scene.pixels[(slice(None), *part)]), valid)
        with torch.inference_mode():
            predicted = backend.predict(scaled[None])[0].argmax(axis=0).astype(np.uint8)
        found.append((_picture(scaled), np.array(scene.labels[part]), predicted))
    return found


def _places(scenes: Sequence[Scene]) -> list[tuple[Scene, int, int]]:
    """Windows of different scenes where there are; those with most classes and labels first."""
    rated = []
    for index, scene in enumerate(scenes):
        best = max(_windows_of(scene), key=lambda window: window[0])
        rated.append((best[0], index, best[1], best[2]))
        others = [window for window in _windows_of(scene) if window != best and window[0] > 0]
        rated += [(rate - 1000.0, index, top, left) for rate, top, left in others[:EXAMPLES]]
    rated.sort(reverse=True)
    return [(scenes[index], top, left) for _, index, top, left in rated[:EXAMPLES]]


def _windows_of(scene: Scene) -> list[tuple[float, int, int]]:
    """Windows of a scene with how much they show: classes, then the share that is labelled."""
    rows, cols = scene.labels.shape
    windows = []
    for top in _starts(rows):
        for left in _starts(cols):
            labels = np.asarray(scene.labels[top : top + EXAMPLE_SIZE, left : left + EXAMPLE_SIZE])
            counts = np.bincount(labels[labels != IGNORE].ravel(), minlength=1)
            share = counts.sum() / labels.size
            windows.append((float((counts > 0.01 * labels.size).sum() + share), top, left))
    return windows


def _starts(length: int) -> list[int]:
    """At most eight starts that fill a side, evenly spread."""
    last = max(length - EXAMPLE_SIZE, 0)
    count = min(max(length // EXAMPLE_SIZE, 1), 8)
    return [round(last * index / max(count - 1, 1)) for index in range(count)]


def _picture(scaled: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The first three bands as they are seen, [3, rows, cols]; one band as grey."""
    shown = scaled[:3] if len(scaled) >= 3 else scaled[:1].repeat(3, axis=0)
    low, high = np.percentile(shown, (1, 99))
    stretched = (shown - low) / max(float(high - low), 1e-6)
    return (stretched.clip(0, 1) * 255).astype(np.uint8)
