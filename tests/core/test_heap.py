"""Freed memory is given back, but not all the time."""

from __future__ import annotations

import platform

import pytest

from scasnet_qgis.core.heap import Heap


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_memory_is_given_back_now_and_then() -> None:
    assert not Heap(60.0).give_back(), "it has just begun"
    heap = Heap(0.0)
    assert heap.give_back()
    heap._seconds = 60.0
    assert not heap.give_back()
