"""One thread for small networks, and a user who cancels."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import Recorder


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks are trained faster by one thread than by several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Impatient(Recorder):
    """Cancels once a share of the work is done."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    @property
    def cancelled(self) -> bool:
        return max(self.fractions, default=0.0) >= self._share
