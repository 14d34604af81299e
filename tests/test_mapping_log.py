"""What a run says about its tiles and its extent."""

from __future__ import annotations

import pytest

from scasnet_qgis.core.windows import plan_tiles
from scasnet_qgis.mapping_log import log_extent, log_plan
from scasnet_qgis.mapping_resume import log_kept
from scasnet_qgis.raster.grid import Grid
from tests.conftest import Recorder

GRID = Grid(100, 200, (0.0, 1.0, 0.0, 100.0, 0.0, -1.0))


def test_a_single_tile_has_no_overlap(recorder: Recorder) -> None:
    log_plan(
        plan_tiles(454, 504, (512, 512), 64, fixed=False, panel_cols=999, block=16), 64, recorder
    )
    assert recorder.infos == ["1 tile of 504 columns x 454 rows."]


def test_several_tiles(recorder: Recorder) -> None:
    plan = plan_tiles(300, 100, (100, 100), 20, fixed=True, panel_cols=999, block=16)
    log_plan(plan, 20, recorder)
    tiles = f"{plan.count} tiles of 100 columns x 100 rows each"
    words = f"{tiles}, which overlap by at least 20 pixels."
    assert recorder.infos == [words]


def test_what_is_left_of_an_interrupted_run(recorder: Recorder) -> None:
    """Three rows of two tiles: the second one is needed again for what the third overlaps."""
    plan = plan_tiles(260, 180, (100, 100), 20, fixed=True, panel_cols=999, block=16)
    assert plan.count == 6
    log_kept(0.7, plan, 2, recorder)
    log_kept(0.0, plan, 0, recorder)
    log_kept(1.0, plan, 3, recorder)
    begins = "Resuming an interrupted run: "
    assert recorder.infos == [
        begins + "70% of the map is finished. 2 of 6 tiles are left to compute, and 2 are "
        "recomputed for overlap.",
        begins + "100% of the map is finished. 0 of 6 tiles are left to compute.",
    ]


@pytest.mark.parametrize(
    ("extent", "told"),
    [
        (None, []),
        ((10.0, 10.0, 20.0, 20.0), []),
        ((-1.0, 0.0, 200.0, 100.0), []),
        ((-100.0, 0.0, 100.0, 100.0), ["Only 50.0% of the extent lies on the image: "]),
    ],
)
def test_an_extent_that_reaches_beyond_the_image(
    extent: tuple[float, float, float, float] | None, told: list[str], recorder: Recorder
) -> None:
    log_extent(GRID, extent, recorder)
    assert [each.split("the map")[0] for each in recorder.infos] == told
