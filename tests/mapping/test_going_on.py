"""Runs that are cancelled and go on: with the same bytes, whatever they do."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from osgeo import gdal

from scasnet_qgis.mapping import plan as mapping_plan
from scasnet_qgis.mapping.settings import MapSettings
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.models.session import ModelLoader
from scasnet_qgis.outputs import workspace as work
from scasnet_qgis.outputs.journal import Journal
from scasnet_qgis.outputs.work_folder import work_folder_of
from scasnet_qgis.tiling.augmentation import Augmentation
from tests.labels.layers import polygon, write_layer
from tests.map_settings import changed, map_settings
from tests.mapping.interrupting import DEMO, fresh, interrupted, left, mapped, request_in
from tests.models import tiny_models

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("all_work_is_worth_keeping")]


@pytest.fixture
def all_work_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., MapSettings]:
    return partial(request_in, tmp_path)


def box(left: int, top: int, right: int, bottom: int) -> tuple[float, float, float, float]:
    """A part of the image, given in pixels: x_min, y_min, x_max, y_max."""
    x, width, _, y, _, height = gdal.Open(str(DEMO)).GetGeoTransform()
    x, y = x + 200 * width, y + 300 * height
    return x + left * width, y + bottom * height, x + right * width, y + top * height


def mask_of(path: Path, ends: tuple[float, float, float, float]) -> str:
    """A layer with one rectangle."""
    x_min, y_min, x_max, y_max = ends
    shape = polygon([(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)])
    return write_layer(path, [("a", shape)], epsg=None)


def test_a_cancelled_run_says_where_its_work_is_and_goes_on(request_of, tmp_path) -> None:
    request = request_of()
    progress = interrupted(request)
    folder = work_folder_of(request.output.map)
    assert left(request) == [folder.name]
    assert sorted(path.name for path in folder.iterdir()) == ["journal", "lock"]
    assert any(str(folder) in line for line in progress.infos)
    progress, result = mapped(request)
    assert len(progress.kept) == 1
    kept = int(progress.kept[0].split(": ")[1].split("%")[0])
    assert 35 <= kept <= 65
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    assert left(request) == ["map.tif", "map.tif.aux.xml", "map.tif.scasnet"]
    assert progress.fractions == sorted(progress.fractions)
    assert result.report.computed_tiles < result.plan.count * 0.8
    numbers = re.search(r"(\d+) of (\d+) tiles .* and (\d+) are", progress.kept[0])
    assert numbers is not None
    left_over, count, again = map(int, numbers.groups())
    assert count == result.plan.count
    assert again > 0
    assert left_over + again == result.report.computed_tiles + result.report.skipped_tiles


def test_an_interruption_while_kept_work_is_written_again_loses_nothing(request_of) -> None:
    request = request_of()
    interrupted(request, 0.7)
    folder = work_folder_of(request.output.map) / "journal"
    chunks = Journal(folder).chunks
    assert len(chunks) > 2
    assert not interrupted(request, 0.2).kept, "it did not come as far as the model"
    assert Journal(folder).chunks == chunks
    progress, _ = mapped(request)
    assert progress.kept


def test_little_work_is_not_worth_a_folder(request_of, monkeypatch) -> None:
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 20.0)
    request = request_of()
    progress = interrupted(request)
    assert left(request) == []
    assert not any(str(request.output.map.parent) in line for line in progress.infos)


def test_what_several_runs_took_counts_together(request_of, monkeypatch) -> None:
    request = request_of()
    interrupted(request, 0.4)
    seconds = Journal(work_folder_of(request.output.map) / "journal").seconds
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", seconds)
    interrupted(request, 0.41)
    assert left(request) != []


@pytest.mark.fault(
    "a run is cancelled twice, with each setting, in wide and narrow panels",
    "the same command goes on and gives the same bytes",
)
@pytest.mark.parametrize(
    "settings",
    [
        {"min_confidence": 0.5},
        {"sieve": 12.0},
        {"batch": 3},
        {"augmentation": Augmentation((1.0,), "mirror")},
        {"extent": ()},
        {"probabilities": "scores.tif", "min_confidence": 0.5, "sieve": 12.0},
        {"overlap": 48},
    ],
    ids=lambda names: "-".join(names),
)
@pytest.mark.parametrize("panel_bytes", [1, 10**8])
def test_all_settings_go_on(request_of, tmp_path, monkeypatch, settings, panel_bytes) -> None:
    monkeypatch.setattr(mapping_plan, "PANEL_BYTES", panel_bytes)
    if "extent" in settings:
        settings = {"extent": box(20, 10, 290, 220)}
    if "probabilities" in settings:
        settings = {**settings, "probabilities": tmp_path / "out" / settings["probabilities"]}
    request = request_of(**settings)
    for share in (0.3, 0.7):
        interrupted(request, share)
    progress, result = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    if request.output.probabilities:
        again = tmp_path / "fresh" / "scores.tif"
        assert request.output.probabilities.read_bytes() == again.read_bytes()
    _, uninterrupted = mapped(changed(request, output=tmp_path / "out" / "again.tif"))
    assert result.counts == uninterrupted.counts


def test_a_mask_goes_on_wherever_it_is_saved(request_of, tmp_path) -> None:
    """QGIS saves a scratch layer to another file each time."""
    masks = [mask_of(tmp_path / name, box(30, 30, 250, 230)) for name in ("1.gpkg", "2.gpkg")]
    interrupted(request_of(mask=masks[0]))
    request = request_of(mask=masks[1])
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
    interrupted(request)
    changed = mask_of(tmp_path / "3.gpkg", box(30, 30, 250, 231))
    progress, _ = mapped(request_of(mask=changed))
    assert not progress.kept
    assert any("mask" in line for line in progress.infos)


def test_another_image_in_the_same_file_begins_anew(request_of, tmp_path) -> None:
    """As a page of a TIFF or a variable of a NetCDF file, which name the same files."""
    request = request_of()
    pages = tmp_path / "pages.tif"
    pixels = gdal.Open(request.image.source).ReadAsArray()
    for page, options in ((pixels, []), (255 - pixels, ["APPEND_SUBDATASET=YES"])):
        dataset = gdal.GetDriverByName("GTiff").Create(
            str(pages), page.shape[2], page.shape[1], 3, options=options
        )
        dataset.WriteArray(page)
        del dataset
    first, second = (changed(request, source=f"GTIFF_DIR:{n}:{pages}") for n in (1, 2))
    interrupted(first)
    progress, _ = mapped(second)
    assert not progress.kept
    assert any("image" in line for line in progress.infos)
    assert request.output.map.read_bytes() == fresh(second, tmp_path / "fresh")


def test_models_of_one_size_and_rounded_scores_go_on(tmp_path, monkeypatch) -> None:
    """As a graphics card computes them."""
    pytest.importorskip("onnx")
    monkeypatch.setattr(ModelLoader, "_wants_eight_bit", lambda *_: True)
    model = tiny_models.pixelwise(tmp_path / "fixed.onnx", size=(64, 64), batch=2, margin=8)
    (tmp_path / "out").mkdir()
    request = map_settings(str(DEMO), inspect(model), tmp_path / "out" / "map.tif", threads=1)
    interrupted(request)
    progress, _ = mapped(request)
    assert progress.kept
    assert request.output.map.read_bytes() == fresh(request, tmp_path / "fresh")
