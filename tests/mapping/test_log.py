"""What a run says about its tiles and its extent."""

from __future__ import annotations

import re

import pytest

from scasnet_qgis.images.grid import Grid
from scasnet_qgis.mapping.log import log_extent, log_plan
from scasnet_qgis.mapping.resume import log_kept
from scasnet_qgis.tiling.windows import plan_tiles
from tests.conftest import Recorder

GRID = Grid(100, 200, (0.0, 1.0, 0.0, 100.0, 0.0, -1.0))


def numbers(line: str) -> list[float]:
    """The values in a line of the log, in their order."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line)]


def test_a_single_tile_has_no_overlap(recorder: Recorder) -> None:
    log_plan(
        plan_tiles(454, 504, (512, 512), 64, fixed=False, panel_cols=999, block=16), 64, recorder
    )
    (line,) = recorder.infos
    assert numbers(line) == [1, 504, 454]


def test_several_tiles(recorder: Recorder) -> None:
    plan = plan_tiles(300, 100, (100, 100), 20, fixed=True, panel_cols=999, block=16)
    log_plan(plan, 20, recorder)
    (line,) = recorder.infos
    assert numbers(line) == [plan.count, 100, 100, 20]


def test_what_is_left_of_an_interrupted_run(recorder: Recorder) -> None:
    """Three rows of two tiles: the second one is needed again for what the third overlaps."""
    plan = plan_tiles(260, 180, (100, 100), 20, fixed=True, panel_cols=999, block=16)
    assert plan.count == 6
    log_kept(0.7, plan, 2, recorder)
    log_kept(0.0, plan, 0, recorder)
    log_kept(1.0, plan, 3, recorder)
    assert [numbers(line) for line in recorder.infos] == [[70, 2, 6, 2], [100, 0, 6]]


@pytest.mark.parametrize(
    ("extent", "told"),
    [
        (None, []),
        ((10.0, 10.0, 20.0, 20.0), []),
        ((-1.0, 0.0, 200.0, 100.0), []),
        ((-100.0, 0.0, 100.0, 100.0), [50.0]),
    ],
)
def test_an_extent_that_reaches_beyond_the_image(
    extent: tuple[float, float, float, float] | None, told: list[float], recorder: Recorder
) -> None:
    log_extent(GRID, extent, recorder)
    assert [numbers(line)[0] for line in recorder.infos] == told
