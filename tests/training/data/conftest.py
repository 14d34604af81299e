"""The labelled image that most tests of the room learn from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.data.labelled import COLS, ROWS


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(2).integers(1, 200, (2, ROWS, COLS)).astype(np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(3).integers(1, 4, (ROWS, COLS)).astype(np.uint8)
