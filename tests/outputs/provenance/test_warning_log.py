"""Progress that keeps warnings."""

from __future__ import annotations

import pytest

from scasnet_qgis.common.errors import Cancelled
from scasnet_qgis.common.messages import message
from scasnet_qgis.outputs.provenance.warning_log import MAX_WARNINGS, WarningLog


def test_everything_is_passed_on_and_warnings_are_kept_once(recorder) -> None:
    progress = WarningLog(recorder)
    progress.report(0.5)
    progress.info("info")
    progress.warn(message("a {b}", b=1))
    progress.warn("a 1")
    assert (recorder.fractions, recorder.infos) == ([0.5], ["info"])
    assert recorder.warnings == ["a 1", "a 1"]
    assert progress.warnings == ["a 1"]
    progress.check()
    recorder.stop = True
    with pytest.raises(Cancelled):
        progress.check()


def test_endless_warnings_do_not_fill_the_memory(recorder) -> None:
    progress = WarningLog(recorder)
    for index in range(2 * MAX_WARNINGS):
        progress.warn(str(index))
    assert len(progress.warnings) == MAX_WARNINGS
    assert len(recorder.warnings) == 2 * MAX_WARNINGS
