"""Labels divided between training and validation in blocks of the ground.

Neighbouring pixels are alike, and a polygon is often one field: pixels drawn at random would be
known to the network already. So whole blocks are set aside, and what lies within GUARD pixels of
them is not learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.labels import IGNORE
from scasnet_qgis.labels.vectors.grid_transform import has_place, window_on
from scasnet_qgis.tiling.windows import Window, aligned_windows
from scasnet_qgis.training.data.memmaps import (
    ArrayFile,
    Unpacked,
    cut,
    fingerprint,
    row_windows,
    writing,
)

BLOCK, SMALLEST = 512, 32  # pixels; the side of a block where enough is labelled, and the least
ENOUGH = 20  # labelled blocks; with fewer, blocks are made smaller
GUARD = 8  # pixels around validation blocks that are not learned from
_CANDIDATES = 64  # blocks that are compared before one is taken; at most, and half of them
_FORMAT = 1


@dataclass(frozen=True)
class Split:
    """``share`` of the labels of each class is set aside for validation.

    ``block`` is the side of the blocks in pixels; 0 takes BLOCK, or less where so little is
    labelled that there would be fewer than ENOUGH blocks. Equal seeds give equal blocks.
    """

    share: float
    seed: int
    block: int = 0


@dataclass(frozen=True)
class Divided:
    """Labels to learn from and labels to judge by, as memory maps; None where there are none.

    Either may hold nothing but IGNORE.
    """

    training: NDArray[np.uint8] | None
    validation: NDArray[np.uint8] | None


@dataclass(frozen=True)
class _Block:
    scene: int
    window: Window
    size: int  # of its side, where no border cuts it


def count_labels(labels: NDArray[np.uint8], classes: int, window: Window) -> NDArray[np.int64]:
    """Labelled pixels of each class in a window, which may reach beyond the labels."""
    found = np.zeros(256, dtype=np.int64)
    for part in aligned_windows(window.intersect(Window(0, 0, *labels.shape)), 1024):
        found += np.bincount(cut(labels, part).ravel(), minlength=256)
    return found[:classes]


def divide(
    scenes: Sequence[Unpacked], classes: int, split: Split, cache: Path, progress: Progress
) -> list[Divided]:
    """The labels of each scene, divided; where scenes show the same ground, blocks hold for all.

    Files of an earlier call are used again. Raises OutputError where the disk is full, Cancelled.
    """
    if not scenes:
        return []
    made_from = [_FORMAT, GUARD, classes, asdict(split), [scene.folder.name for scene in scenes]]
    folder = cache / f"split.{fingerprint(made_from)}"
    if not folder.is_dir():
        blocks = choose_blocks([scene.labels for scene in scenes], classes, split, progress)
        unlearned = _unlearned(blocks, [scene.grid for scene in scenes])
        with writing(cache) as unfinished:
            for index, scene in enumerate(scenes):
                progress.check()
                own = [block.window for block in blocks if block.scene == index]
                if own:
                    _write(scene.labels, own, unfinished / f"{index}.validation.npy", keep=True)
                if unlearned[index]:
                    target = unfinished / f"{index}.training.npy"
                    _write(scene.labels, unlearned[index], target, keep=False)
                progress.report((index + 1) / len(scenes))
            unfinished.replace(folder)
    return [_divided(scene.labels, folder, index) for index, scene in enumerate(scenes)]


def _divided(labels: NDArray[np.uint8], folder: Path, index: int) -> Divided:
    training, validation = folder / f"{index}.training.npy", folder / f"{index}.validation.npy"
    return Divided(
        np.load(training, mmap_mode="r") if training.exists() else labels,
        np.load(validation, mmap_mode="r") if validation.exists() else None,
    )


def choose_blocks(
    labels: Sequence[NDArray[np.uint8]], classes: int, split: Split, progress: Progress
) -> list[_Block]:
    """The blocks for validation, such that they hold about ``share`` of each class.

    Every class that occurs keeps pixels to learn from; a class that lies in one block only has
    none for validation.
    """
    size = split.block or BLOCK
    areas = [
        _Block(index, Window(0, 0, *raster.shape), size) for index, raster in enumerate(labels)
    ]
    areas, counts = _labelled(labels, areas, size, classes, progress)
    while not split.block and len(areas) < ENOUGH and size > SMALLEST:
        size //= 2
        areas, counts = _labelled(labels, areas, size, classes, progress)
    if not split.block:
        areas, counts = _refined(labels, areas, counts, progress)
    if not areas:
        return []
    lost = [count_labels(labels[area.scene], classes, area.window.grow(GUARD)) for area in areas]
    chosen = _choose(counts, np.array(lost), split)
    return [area for area, taken in zip(areas, chosen) if taken]


def _labelled(
    labels: Sequence[NDArray[np.uint8]],
    areas: Sequence[_Block],
    size: int,
    classes: int,
    progress: Progress,
) -> tuple[list[_Block], NDArray[np.int64]]:
    """Blocks inside of ``areas`` with labels, and their pixels [blocks, classes]."""
    found: list[_Block] = []
    counts: list[NDArray[np.int64]] = []
    for area in areas:
        for window in aligned_windows(area.window, size):
            progress.check()
            found_here = count_labels(labels[area.scene], classes, window)
            if found_here.any():
                found.append(_Block(area.scene, window, size))
                counts.append(found_here)
    return found, np.array(counts, dtype=np.int64).reshape(-1, classes)


def _refined(
    labels: Sequence[NDArray[np.uint8]],
    areas: list[_Block],
    counts: NDArray[np.int64],
    progress: Progress,
) -> tuple[list[_Block], NDArray[np.int64]]:
    """Blocks cut smaller where a class lies in one block only, so that both sides may have it."""
    while True:
        alone = (counts > 0).sum(axis=0) == 1
        where = np.flatnonzero((counts[:, alone] > 0).any(axis=1))
        large = [int(number) for number in where if areas[number].size > SMALLEST]
        if not large:
            return areas, counts
        block = areas.pop(large[0])
        parts, part_counts = _labelled(labels, [block], block.size // 2, counts.shape[1], progress)
        areas, counts = areas + parts, np.vstack([np.delete(counts, large[0], axis=0), part_counts])


def _choose(counts: NDArray[np.int64], lost: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
    """Which blocks are set aside; ``lost`` are the pixels that are then not learned from.

    The class that lacks most gets the block that brings all classes nearest to their share.
    """
    chosen = np.zeros(len(counts), dtype=np.bool_)
    total = counts.sum(axis=0)
    open_, wanted = total > 0, np.maximum(split.share * total, 1e-9)
    have, gone = np.zeros_like(total), np.zeros_like(total)
    order = np.random.default_rng(split.seed).permutation(len(counts))
    while split.share > 0:
        lacking = np.where(open_, 1.0 - have / wanted, -1.0)
        label = int(lacking.argmax())
        if lacking[label] <= 0:
            break
        possible = ~chosen & (counts[:, label] > 0)
        possible &= ((gone + lost < total) | (total == 0)).all(axis=1)
        candidates = order[possible[order]]
        candidates = candidates[: min((len(candidates) + 1) // 2, _CANDIDATES)]
        misfit = (np.abs(have + counts[candidates] - wanted) / wanted)[:, total > 0].sum(axis=1)
        before = (np.abs(have - wanted) / wanted)[total > 0].sum()
        if not candidates.size or (misfit.min() >= before and have[label]):
            open_[label] = False
            continue
        best = candidates[misfit.argmin()]
        chosen[best] = True
        have, gone = have + counts[best], gone + lost[best]
    return chosen


def _unlearned(blocks: Sequence[_Block], grids: Sequence[Grid]) -> list[list[Window]]:
    """Windows of each scene that are not learned from."""
    found: list[list[Window]] = [[] for _ in grids]
    for first, grid in enumerate(grids):
        own = [block.window for block in blocks if block.scene == first]
        found[first] += [window.grow(GUARD) for window in own]
        for second, other in enumerate(grids):
            if first == second or not (own and has_place(grid) and has_place(other)):
                continue
            if window_on(other, grid, grid.whole) is not None:
                moved = (window_on(other, grid, window) for window in own)
                found[second] += [window.grow(GUARD) for window in moved if window is not None]
    return found


def _write(
    labels: NDArray[np.uint8], windows: Sequence[Window], target: Path, *, keep: bool
) -> None:
    """A copy of the labels in which only those in the windows are kept, or all but those."""
    whole = Window(0, 0, *labels.shape)
    with ArrayFile(target, labels.dtype, labels.shape) as file:
        for window in row_windows(whole, 1):
            file.write(window, _nothing(window) if keep else cut(labels, window))
        for window in (window.intersect(whole) for window in windows):
            for part in row_windows(window, 1):
                file.write(part, cut(labels, part) if keep else _nothing(part))


def _nothing(window: Window) -> NDArray[np.uint8]:
    return np.full((window.rows, window.cols), IGNORE, dtype=np.uint8)
