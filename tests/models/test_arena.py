"""The pool of memory that all models on the processor share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from scasnet_qgis.models import arena
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from tests.models import tiny_models as tiny


def test_the_little_model_is_valid() -> None:
    onnx.checker.check_model(onnx.load_model_from_string(arena._filling_model()), full_check=True)


def test_releasing_leaves_open_models_as_they_are(tmp_path: Path) -> None:
    image = np.random.default_rng(1).random((1, 3, 40, 56), dtype=np.float32)
    info = inspect(tiny.pixelwise(tmp_path / "m.onnx"))
    with OnnxBackend(info, "cpu", 2, (64, 64)) as backend:
        before = backend.predict(image)
        arena.release()
        np.testing.assert_array_equal(backend.predict(image), before)
        options = backend._opened().session.get_session_options()
        assert not options.enable_mem_pattern
        assert options.get_session_config_entry("session.use_env_allocators") == "1"
