"""Peak memory does not grow with the raster, whichever way it is large."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.memory import measure
from tests.models import tiny_models

SLACK_MEGABYTES = 40  # allocators differ by a few blocks from run to run


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model that costs nothing, so that large rasters are quick."""
    advice = {"tile_size": "1088", "tiles_overlap": "12"}
    target = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return tiny_models.pixelwise(target, classes=5, metadata=advice)


@pytest.fixture(scope="module")
def small(model) -> float:
    """Peak of a raster that already fills a panel and GDAL's cache."""
    return measure(2_000, 12_000, model)["peak_megabytes"]


@pytest.mark.parametrize(("rows", "cols"), [(6_000, 12_000), (1_000, 40_000), (40_000, 1_000)])
def test_larger_rasters_need_no_more(small, model, rows, cols):
    assert measure(rows, cols, model)["peak_megabytes"] <= small + SLACK_MEGABYTES
