"""Whole maps with raw pixels in and 8-bit scores out, as a graphics card computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.models import session
from scasnet_qgis.tiling.augmentation import Augmentation
from tests.mapping.test_job import noise, run

pytestmark = pytest.mark.slow

AGREEMENT = 0.98  # of pixels without any likeness to their neighbours; real images: 0.999
NODATA = 7


@pytest.mark.parametrize(
    ("kind", "model", "settings"),
    [
        ("uint8", {}, {}),
        ("uint8", {"activation": None}, {"batch": 3}),
        ("uint16", {}, {}),
        ("float32", {}, {}),
        ("uint8", {"kind": "float16"}, {}),
        ("uint8", {"classes": 1}, {}),
        ("uint8", {"margin": 8}, {"batch": 2}),
        ("uint8", {"size": (64, 64), "batch": 2}, {}),
        ("uint8", {}, {"augmentation": Augmentation((1.0,), "full")}),
        ("uint8", {}, {"min_confidence": 0.5}),
    ],
)
def test_maps_are_nearly_the_same(
    make_raster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    model: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    image = noise(kind=kind)
    image[:, 30:60, 40:90] = NODATA
    raster = make_raster(image, nodata=NODATA)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    exact, _ = run(raster, tmp_path / "a", model, **settings)
    edited = []
    edit = session.gpu_graph
    monkeypatch.setattr(session, "gpu_graph", lambda *how: edited.append(how) or edit(*how))
    monkeypatch.setattr(session.ModelLoader, "_wants_eight_bit", lambda *_: True)
    rounded, result = run(raster, tmp_path / "b", model, **settings)
    np.testing.assert_array_equal(rounded[30:60, 40:90], 0)
    assert (rounded == exact).mean() > AGREEMENT
    assert [call[1].dtype for call in edited] == [kind]
    assert result.report.computed_tiles > 1
