"""Do tile borders show? Label changes across them, and accuracy, against the whole-image map.

    build/venv/bin/python -m benchmarks.seams [--tiles 512 0] [--overlaps 0 16 32 64 128]

For each tile size (0: what a run takes of itself) and overlap: the share of label changes on the
lines where tiles meet (middle of the overlaps and the tiles' outer edges) over the share among all
neighbouring pixels, pooled over the validation images, divided by the same measure of the map made
in one piece, on the same lines.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measures import (
    WHOLE,
    Changes,
    changes,
    confusion,
    labels_of,
    map_image,
    seam_lines,
    validation_images,
)
from scasnet_qgis.common.confusion_matrix import ConfusionMatrix

DEFAULT = 0
TILES = (512, DEFAULT)  # pixels; the smaller, the more borders there are to see
OVERLAPS = (0, 16, 32, 64, 128)  # pixels


@dataclass(frozen=True)
class SeamResult:
    """``seams`` 1 means that borders show no more than anywhere else.

    ``tile`` is the size that was asked for, 0 for none; ``largest_tile`` what was computed at
    most. ``images`` of the validation images were cut into more than one tile.
    """

    tile: int
    overlap: int
    largest_tile: int
    images: int
    seams: float
    overall_accuracy: float
    mean_iou: float
    whole_overall_accuracy: float
    whole_mean_iou: float
    computed_per_delivered: float


def measure_seams(tile: int, overlap: int, folder: Path) -> SeamResult:
    """Map every validation image in tiles, of the default size for 0, and in one piece."""
    cut, whole = Changes(), Changes()
    matrix = whole_matrix = ConfusionMatrix.empty(5)
    computed = delivered = largest = images = 0
    for image, truth in validation_images():
        result = map_image(image, folder / "cut.tif", tile_size=tile or None, overlap=overlap)
        labels = labels_of(folder / "cut.tif")
        reference = _whole(image, folder)
        rows, cols = seam_lines(result.plan.vertical), seam_lines(result.plan.horizontal)
        cut += changes(labels, rows, cols)
        whole += changes(reference, rows, cols)
        matrix += confusion(labels, truth)
        whole_matrix += confusion(reference, truth)
        computed += result.plan.computed_pixels
        delivered += labels.size
        largest = max(largest, result.plan.vertical.size, result.plan.horizontal.size)
        images += bool(rows or cols)
    return SeamResult(
        tile,
        overlap,
        largest,
        images,
        cut.ratio / whole.ratio if images else 1.0,
        matrix.overall_accuracy,
        matrix.mean_iou,
        whole_matrix.overall_accuracy,
        whole_matrix.mean_iou,
        computed / delivered,
    )


def _whole(image: Path, folder: Path) -> NDArray[np.uint8]:
    """The map made in one piece; kept, as every overlap is compared with it."""
    kept = folder / f"{image.stem}.tif"
    if not kept.exists():
        map_image(image, kept, tile_size=WHOLE)
    return labels_of(kept)


def main() -> None:
    """Print a line of JSON for each tile size and overlap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=list(TILES))
    parser.add_argument("--overlaps", type=int, nargs="+", default=list(OVERLAPS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for tile, overlap in product(arguments.tiles, arguments.overlaps):
            result = measure_seams(tile, overlap, Path(folder))
            print(json.dumps({k: round(v, 4) for k, v in vars(result).items()}), flush=True)


if __name__ == "__main__":
    main()
