"""What is really there, in the classes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.model_card import ModelCard
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.labels.class_matching import match_classes
from scasnet_qgis.labels.labels import IGNORE, LabelClass, Labels
from scasnet_qgis.tiling.windows import Window


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
