"""The page of results says what was measured, and shows plots that are there."""

from __future__ import annotations

import re

from benchmarks.run_all import SECTIONS
from benchmarks.store import PAGE, PLOTS, page, stored


def test_page_is_written_from_what_was_measured() -> None:
    assert set(stored()) <= set(SECTIONS)
    assert PAGE.read_text(encoding="utf-8") == page(stored(), SECTIONS)


def test_all_plots_are_there() -> None:
    shown = set(re.findall(r"\(plots/(\w+\.png)\)", PAGE.read_text(encoding="utf-8")))
    assert shown == {path.name for path in PLOTS.glob("*.png")}
    assert shown
