"""A training's work folder, as small as it can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scasnet_qgis.training.report import EXAMPLES, LOG, REPORT, save_examples

CLASSES = [{"name": "water", "color": "#0000ff"}, {"name": "<b>town</b>", "color": "#ff0000"}]
COLORS = [entry["color"] for entry in CLASSES]
CONFUSION = [[80, 20], [10, 90]]


def records(until: int = 400, first: int = 20) -> list[dict[str, Any]]:
    """A loss every 20 steps, an evaluation every 100; 50 steps are an epoch."""
    found: list[dict[str, Any]] = []
    for step in range(first, until + 1, 20):
        place = {"step": step, "epoch": step / 50, "minutes": step / 100}
        found.append({**place, "loss": 100 / step, "learning_rate": 1e-3})
        if step % 100 == 0:
            scores = {"overall_accuracy": 0.5 + step / 1000, "mean_iou": step / 1000}
            found.append({**place, **scores, "iou": {"water": 0.5, "<b>town</b>": None}})
    return found


def write_log(work: Path, lines: list[dict[str, Any]], more: str = "") -> None:
    work.mkdir(parents=True, exist_ok=True)
    (work / LOG).write_text("".join(json.dumps(record) + "\n" for record in lines) + more)


def write_work(work: Path, *, examples: int = 2, **changes: Any) -> None:
    """The whole folder; ``changes`` replace what report.json says."""
    write_log(work, records())
    content = {
        "title": "wetland",
        "classes": CLASSES,
        "confusion": CONFUSION,
        "overall_accuracy": 0.85,
        "mean_iou": 0.7391,
        "iou": {"water": 0.7273, "<b>town</b>": 0.75},
        "settings": {"variant": "vgg", "width": 0.25, "epochs": None, "scale_range": [0.8, 1.25]},
        "data": {"training_data": "a.tif; 2 labelled megapixels", "place": "Bremen"},
        "command": "qgis_process run scasnet:train -- INPUT=a.tif",
        "examples": examples,
        "finished": True,
        "notes": [],
    }
    path = work / REPORT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    save_examples(work / EXAMPLES, [example(seed) for seed in range(examples)], COLORS)


def example(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image [3, 32, 48], a sparse truth and a full prediction [32, 48]."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, (32, 48), dtype=np.uint8)
    truth[:, 16:] = 255
    image = random.integers(0, 256, (3, 32, 48), dtype=np.uint8)
    return image, truth, random.integers(0, 2, (32, 48), dtype=np.uint8)
