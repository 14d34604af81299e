"""Where the pixels of a class are: a bounded number of places for each scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scasnet_qgis.tiling.windows import Window, aligned_windows
from scasnet_qgis.training.data.scenes import Scene

MOST = 4000  # remembered places of a class in one scene
_STEP = 1024  # rows and columns looked at in one go


@dataclass(frozen=True)
class Group:
    """Places [N, 2] (row, column) of one class in a scene, where ``pixels`` are of it."""

    scene: int
    pixels: int
    places: NDArray[np.int64]


def find_places(scenes: Sequence[Scene], classes: int, generator: Generator) -> list[list[Group]]:
    """For each class its groups, drawn evenly from all of its pixels.

    Looks at one window at a time, so that memory does not grow with the scenes.
    """
    found: list[list[Group]] = [[] for _ in range(classes)]
    for index, scene in enumerate(scenes):
        windows = list(aligned_windows(Window(0, 0, *scene.labels.shape), _STEP))
        counts = np.array([_counts(scene, window)[:classes] for window in windows])
        totals = counts.sum(axis=0)
        wanted = [_share_out(counts[:, label], generator) for label in range(classes)]
        drawn: list[list[NDArray[np.int64]]] = [[] for _ in range(classes)]
        for number, window in enumerate(windows):
            asked = {
                label: int(shares[number]) for label, shares in enumerate(wanted) if shares[number]
            }
            for label, places in _draw(scene, window, asked, generator):
                drawn[label].append(places)
        for label, parts in enumerate(drawn):
            if parts:
                found[label].append(Group(index, int(totals[label]), np.concatenate(parts)))
    return found


def _part(scene: Scene, window: Window) -> NDArray[np.uint8]:
    return np.asarray(scene.labels[window.row : window.row_end, window.col : window.col_end])


def _counts(scene: Scene, window: Window) -> NDArray[np.int64]:
    return np.bincount(_part(scene, window).ravel(), minlength=256).astype(np.int64)


def _share_out(counts: NDArray[np.int64], generator: Generator) -> NDArray[np.int64]:
    """How many places each window gives, in all MOST, or all where there are no more."""
    total = int(counts.sum())
    if total <= MOST:
        return counts
    return np.minimum(generator.multinomial(MOST, counts / total), counts)


def _draw(
    scene: Scene, window: Window, asked: dict[int, int], generator: Generator
) -> list[tuple[int, NDArray[np.int64]]]:
    if not asked:
        return []
    labels = _part(scene, window)
    found = []
    for label, count in asked.items():
        flat = generator.choice(np.flatnonzero(labels == label), count, replace=False)
        rows, cols = np.divmod(flat, window.cols)
        places = np.stack([rows + window.row, cols + window.col], axis=1)
        found.append((label, places.astype(np.int64)))
    return found
