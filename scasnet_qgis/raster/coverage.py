"""Windows known to be nodata (sparse blocks, holes of a mosaic), which need not be read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Callable

import numpy as np
from osgeo import gdal

from scasnet_qgis.core.segmentation import Inside
from scasnet_qgis.core.windows import Window
from scasnet_qgis.raster.mask import MaskRule, is_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_without_data(
    dataset: gdal.Dataset, rule: MaskRule, bands: Sequence[int], window: Window
) -> bool:
    """Whether nothing is stored for a window by which a pixel of it could hold data.

    What is not stored reads as the nodata value, or as 0 in masks.
    """
    if rule.kind == "values":
        mask_bands = [dataset.GetRasterBand(number) for number in dict.fromkeys(bands)]
    elif rule.kind == "alpha":
        mask_bands = [dataset.GetRasterBand(rule.alpha)]
    elif rule.kind == "mask":
        mask_bands = [dataset.GetRasterBand(bands[0]).GetMaskBand()]
    else:
        return False
    return all(is_missing(band, window) for band in mask_bands)


def where_data_may_be(may_hold_data: Callable[[Window], bool], inside: Inside | None) -> Inside:
    """``inside``, or nothing in windows that hold no data for sure."""

    @lru_cache(maxsize=8)
    def none_inside(rows: int, cols: int) -> NDArray[np.bool_]:
        result = np.zeros((rows, cols), dtype=np.bool_)
        result.flags.writeable = False  # it stands for many windows
        return result

    def wanted(window: Window) -> NDArray[np.bool_] | None:
        if not may_hold_data(window):
            return none_inside(window.rows, window.cols)
        return None if inside is None else inside(window)

    return wanted
