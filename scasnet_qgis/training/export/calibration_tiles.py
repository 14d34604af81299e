"""Tiles of a raster to calibrate a model on and to compare it on, and their reference labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.labels.class_matching import match_classes
from scasnet_qgis.labels.labels import IGNORE, LabelClass, Labels
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.tiling.scaling import mirror_pad
from scasnet_qgis.tiling.windows import Window, plan_axis

MAX_TILES = 16  # tiles of either kind
_SIDES = (512, 384, 256, 128)  # pixels
_ENOUGH = 4  # tiles; a raster that has fewer is cut into smaller ones
_MAX_WINDOWS = 400  # windows that are searched for data
_GOLDEN = 0.618034  # multiples of it, without their whole part, spread evenly however many


@dataclass(frozen=True)
class Division:
    """Windows to calibrate on and to compare on; the same ones where ``shared``."""

    calibration: tuple[Window, ...]
    comparison: tuple[Window, ...]

    @property
    def shared(self) -> bool:
        return self.calibration == self.comparison


class RasterSample:
    """Windows of a raster in the terms of a model with this ``card``."""

    def __init__(
        self, source: str, card: ModelCard, bands: Sequence[int], progress: Progress
    ) -> None:
        """``bands``: numbers of the raster's bands, none to find them as for a map."""
        self.source, self._card, self._progress = source, card, progress
        self._reader = RasterReader(source, card.bands, bands, progress)
        self.grid = self._reader.grid
        self._scaling = self._reader.scaling(card)

    def read(
        self, window: Window, margin: int = 0
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The input [bands, rows, cols] in 0-1 for scores of a window, and where it holds data."""
        want = window.grow(margin)
        have = want.intersect(self.grid.whole)
        raw, mask = self._reader.read(have)
        valid = np.zeros((want.rows, want.cols), dtype=np.bool_)
        row, col = have.row - want.row, have.col - want.col
        valid[row : row + have.rows, col : col + have.cols] = True if mask is None else mask
        inner = valid[margin : margin + window.rows, margin : margin + window.cols]
        return mirror_pad(self._scaling(raw, mask), have, want), inner

    def divide(
        self,
        size: tuple[int, int] | None,
        margin: int = 0,
        reference: ReferenceLabels | None = None,
    ) -> Division:
        """Choose windows that hold data; ``size`` is the only one the model takes, or None.

        Windows to compare on hold labels of ``reference``. Raises InputError where none do.
        """
        cells = _cells(self.grid.rows, self.grid.cols, size, margin)
        black = [window for is_black, window in cells if is_black]
        comparison = self._holding([cell for is_black, cell in cells if not is_black], reference)
        if not comparison:
            comparison = self._holding(black, reference)
            black = [cell for cell in black if cell not in comparison]
        if not comparison:
            raise self._nothing(reference)
        return Division(self._holding(black, None) or comparison, comparison)

    def _holding(
        self, windows: Sequence[Window], reference: ReferenceLabels | None
    ) -> tuple[Window, ...]:
        """Some of ``windows`` with data, and with labels, from all over the raster."""
        if reference is not None:
            windows = [window for window in windows if not window.intersect(reference.window).empty]
        order = sorted(range(len(windows)), key=lambda index: index * _GOLDEN % 1.0)
        found: list[int] = []
        for index in order[:_MAX_WINDOWS]:
            self._progress.check()
            wanted = self.read(windows[index])[1]
            if reference is not None and wanted.any():
                wanted &= reference.read(windows[index]) < len(self._card.classes)
            if wanted.any():
                found.append(index)
            if len(found) == MAX_TILES:
                break
        return tuple(windows[index] for index in sorted(found))

    def _nothing(self, reference: ReferenceLabels | None) -> InputError:
        if reference is None:
            text = translate(
                "ScasNet", "The raster {source} has no valid pixels: choose another one."
            )
            return InputError(text, source=self.source)
        text = translate(
            "ScasNet",
            "The reference has no classes where the raster {source} has data: choose a reference "
            "for the same area.",
        )
        return InputError(text, source=self.source)


class Inputs:
    """The tiles of some windows as a model's graph takes them; may be gone through repeatedly."""

    def __init__(
        self,
        sample: RasterSample,
        windows: Sequence[Window],
        model: ModelInfo,
        progress: Progress,
        passes: int = 1,
    ) -> None:
        """``passes``: how often they will be gone through, which is what progress is told."""
        self._sample, self._windows, self._model = sample, windows, model
        self._progress, self._whole = progress, max(passes, 1) * len(windows)
        self._given = 0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Arrays [batch, bands, rows, cols]; raises Cancelled."""
        card = self._model.card
        for window in self._windows:
            self._progress.check()
            tile, _ = self._sample.read(window, self._model.margin)
            if card.standardise:  # the graph leaves it to its caller
                mean = np.asarray(card.mean, dtype=np.float32)[:, None, None]
                tile = (tile - mean) / np.asarray(card.std, dtype=np.float32)[:, None, None]
            yield tile[None].repeat(self._model.fixed_batch or 1, axis=0)
            self._given += 1
            self._progress.report(self._given / self._whole)


def _cells(
    rows: int, cols: int, size: tuple[int, int] | None, margin: int
) -> list[tuple[bool, Window]]:
    """Windows side by side over a raster, each with the colour of its square on a chessboard."""
    sides = [(side, side) for side in _SIDES] if size is None else [size]
    for high, wide in sides:
        down = plan_axis(rows, high - 2 * margin, 0, fixed=size is not None)
        across = plan_axis(cols, wide - 2 * margin, 0, fixed=size is not None)
        if len(down) * len(across) >= _ENOUGH:
            break
    return [
        ((i + j) % 2 == 0, Window(row, col, down.size, across.size))
        for i, row in enumerate(down.starts)
        for j, col in enumerate(across.starts)
    ]


class ReferenceLabels:
    """Labels on the grid of a raster; their classes are matched with those of a map."""

    def __init__(
        self, request: Mapping[str, Any], grid: Grid, card: ModelCard, progress: Progress
    ) -> None:
        """``request`` names ``path``, ``layer``, ``field`` and ``classes`` (value, name, color).

        Raises InputError where the classes do not match or nothing overlaps.
        """
        classes = [
            LabelClass(str(entry["value"]), str(entry["name"]), str(entry["color"]))
            for entry in request["classes"]
        ]
        mapped = [
            LabelClass(str(index), model_class.name, model_class.color)  # as the values of a map
            for index, model_class in enumerate(card.classes, start=1)
        ]
        match = match_classes(classes, mapped)
        progress.info(match.sentence)
        self._table = match.table()
        layer, field = str(request.get("layer", "")), str(request.get("field", ""))
        by_place = grid.geotransform is not None or bool(field)
        self._labels = Labels(
            str(request["path"]), grid, classes, layer=layer, field=field, by_place=by_place
        )
        window = self._labels.labelled_window()
        inside = Window(0, 0, 0, 0) if window is None else window.intersect(grid.whole)
        if inside.empty:
            text = translate(
                "ScasNet",
                "The reference does not overlap the calibration raster: choose one for the same "
                "area.",
            )
            raise InputError(text)
        self.window, self._whole = inside, grid.whole

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Classes of the model [rows, cols]; 255 where there is none, or beyond the raster."""
        inside = window.intersect(self._whole)
        result = np.full((window.rows, window.cols), IGNORE, dtype=np.uint8)
        row, col = inside.row - window.row, inside.col - window.col
        part = np.s_[row : row + inside.rows, col : col + inside.cols]
        result[part] = self._table[self._labels.read(inside)]
        return result
