"""Small networks are run faster by one thread, as in the training's tests."""

from __future__ import annotations

from tests.training.conftest import one_thread

__all__ = ["one_thread"]
