"""Maps of tiles that are not blended: the model hands over labels in place of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scasnet_qgis.mapping import job as mapping
from scasnet_qgis.models.session import ModelLoader
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.tiling.augmentation import Augmentation
from tests.mapping.interrupting import fresh, interrupted, mapped, request_in
from tests.mapping.test_job import direct, noise, run
from tests.mapping.test_views import FINE, patches, placed
from tests.mapping.test_views import run as run_at

NODATA = 7
ALONE = {"overlap": 0}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The backends that runs opened."""
    backends: list[Any] = []
    really = mapping.open_backend

    def noticed(*how: Any) -> Any:
        backends.append(really(*how))
        return backends[-1]

    monkeypatch.setattr(mapping, "open_backend", noticed)
    return backends


@pytest.mark.parametrize("on_a_card", [False, True])
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, ALONE),
        ({}, {**ALONE, "batch": 4}),
        ({}, {"tile_size": 512}),
        ({"activation": None}, ALONE),
        ({"classes": 1, "activation": "Sigmoid"}, ALONE),
        ({"classes": 1, "activation": None}, ALONE),
        ({"margin": 8}, {**ALONE, "tile_size": 80}),
        ({"size": (64, 64)}, ALONE),
        ({"size": (64, 64), "batch": 5}, ALONE),
    ],
)
def test_the_map_is_what_the_model_gives(
    make_raster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[Any],
    model: dict[str, Any],
    settings: dict[str, Any],
    on_a_card: bool,
) -> None:
    if on_a_card:
        monkeypatch.setattr(ModelLoader, "_wants_eight_bit", lambda *_: True)
    image = noise(191, 250)
    image[:, 30:70, 40:90] = NODATA
    found, result = run(make_raster(image, nodata=NODATA), tmp_path, model, **settings)
    assert result.report.computed_tiles == result.plan.count
    assert [(backend.gives_labels, backend.eight_bit) for backend in opened] == [(True, on_a_card)]
    wanted = direct(image / 255, (image != NODATA).any(axis=0), (model.get("classes") or 8))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "settings",
    [
        {"overlap": 16},
        {**ALONE, "min_confidence": 0.2},
        {**ALONE, "augmentation": Augmentation((1.0,), "mirror")},
        {**ALONE, "augmentation": Augmentation((1.0, 1.5))},
        {**ALONE, "probabilities": "scores.tif"},
    ],
)
def test_scores_come_where_they_are_needed(
    make_raster: Any, tmp_path: Path, opened: list[Any], settings: dict[str, Any]
) -> None:
    if "probabilities" in settings:
        settings = {**settings, "probabilities": tmp_path / settings["probabilities"]}
    run(make_raster(noise(192, 256)), tmp_path, **settings)
    assert [backend.gives_labels for backend in opened] == [False]


def test_scores_come_where_they_are_resampled(
    make_raster: Any, tmp_path: Path, opened: list[Any]
) -> None:
    raster = make_raster(patches(), geotransform=placed())
    _, result = run_at(raster, tmp_path, FINE, tile_size=512)
    assert result.plan.count == 1
    assert [backend.gives_labels for backend in opened] == [False]


def test_such_a_map_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Any]
) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)
    request = request_in(tmp_path, **ALONE)
    for share in (0.3, 0.7):
        interrupted(request, share)
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    assert all(backend.gives_labels for backend in opened)
