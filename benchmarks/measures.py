"""What the benchmarks and the tests measure on maps: seams and accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal

from scasnet_qgis import paths
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.mapping.job import MapResult, make_map
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.tiling.windows import Axis
from tests.map_settings import map_settings

VALIDATION = Path(__file__).parent.parent / "tests" / "data" / "dubai"
WHOLE = 4096  # pixels; a tile size above every validation image


@dataclass(frozen=True)
class Changes:
    """Neighbouring pixel pairs across lines and everywhere, and how many of them differ."""

    line_changes: int = 0
    line_pairs: int = 0
    all_changes: int = 0
    all_pairs: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.line_changes + other.line_changes,
            self.line_pairs + other.line_pairs,
            self.all_changes + other.all_changes,
            self.all_pairs + other.all_pairs,
        )

    @property
    def ratio(self) -> float:
        """Share of changes across the lines over the share everywhere."""
        return (self.line_changes / self.line_pairs) / (self.all_changes / self.all_pairs)


def seam_lines(axis: Axis) -> list[int]:
    """Where tiles meet along an axis: the middle of each overlap and both of its ends.

    A line at position p lies between the pixels p - 1 and p.
    """
    lines: set[int] = set()
    for before, after in zip(axis.starts, axis.starts[1:]):
        end = before + axis.size
        lines |= {after, (after + end) // 2, end}
    return sorted(line for line in lines if 0 < line < axis.length)


def changes(labels: NDArray[np.uint8], rows: list[int], cols: list[int]) -> Changes:
    """Label changes of a map [rows, cols] across the given lines and everywhere."""
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    on_rows, on_cols = down[[line - 1 for line in rows]], right[:, [line - 1 for line in cols]]
    return Changes(
        int(on_rows.sum() + on_cols.sum()),
        on_rows.size + on_cols.size,
        int(down.sum() + right.sum()),
        down.size + right.size,
    )


def validation_images() -> list[tuple[Path, Path]]:
    """Image and label file of each validation scene."""
    images = sorted((VALIDATION / "images").glob("*.jpg"))
    return [(image, VALIDATION / "labels" / f"{image.stem}.png") for image in images]


def map_image(image: Path, target: Path, model: Path | None = None, **settings: Any) -> MapResult:
    """Map an image with the shipped model, or another, to ``target``."""
    wanted = map_settings(str(image), inspect(model or paths.default_model()), target, **settings)
    return make_map(wanted, Progress(), lambda _path, _classes: None)


def labels_of(target: Path) -> NDArray[np.uint8]:
    """The values of a map, class k as k + 1."""
    return gdal.Open(str(target)).ReadAsArray()


def confusion(labels: NDArray[np.uint8], truth: Path, classes: int = 5) -> ConfusionMatrix:
    """A map against the label file of its image."""
    reference = gdal.Open(str(truth)).ReadAsArray()
    return ConfusionMatrix.of(reference, labels.astype(np.int64) - 1, classes)
