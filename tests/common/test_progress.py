"""Stages of a run share one progress."""

from __future__ import annotations

import pytest

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.progress import Progress, Stage
from tests.conftest import Recorder


def test_stages_share_the_whole(recorder: Recorder) -> None:
    first, second = Stage(recorder, 0.0, 0.5), Stage(recorder, 0.5, 1.0)
    for stage in (first, Stage(second, 0.5, 1.0)):
        for fraction in (0.0, 0.5, 1.0):
            stage.report(fraction)
    assert recorder.fractions == [0.0, 0.25, 0.5, 0.75, 0.875, 1.0]


@pytest.mark.parametrize(("told", "heard"), [(-0.1, 0.25), (1.1, 0.75)])
def test_a_stage_keeps_within_its_part(recorder: Recorder, told: float, heard: float) -> None:
    Stage(recorder, 0.25, 0.75).report(told)
    assert recorder.fractions == [heard]


def test_texts_and_the_cancel_pass_through(recorder: Recorder) -> None:
    stage = Stage(Stage(recorder, 0.0, 0.5), 0.0, 0.5)
    stage.info("a")
    stage.warn("b")
    assert (recorder.infos, recorder.warnings) == (["a"], ["b"])
    stage.check()
    recorder.stop = True
    assert stage.cancelled
    with pytest.raises(Cancelled):
        stage.check()


def test_silent_progress_is_never_cancelled() -> None:
    progress = Progress()
    progress.report(0.5)
    progress.info("a")
    progress.warn("b")
    progress.check()
