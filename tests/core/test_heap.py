"""Freed memory is given back, but not all the time."""

from __future__ import annotations

import platform

import pytest

from scasnet_qgis.tiling.pipeline import HeapTrimmer


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_memory_is_given_back_now_and_then() -> None:
    assert not HeapTrimmer(60.0).trim_malloc(), "it has just begun"
    trimmer = HeapTrimmer(0.0)
    assert trimmer.trim_malloc()
    trimmer._seconds = 60.0
    assert not trimmer.trim_malloc()
