"""Pixels for a layer that has none, and what may be written down about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from osgeo import osr

from scasnet_qgis.common.errors import Cancelled, InputError, SettingError
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.images.grid import Grid
from scasnet_qgis.images.rendered_layer import (
    BLOCK,
    Extent,
    RenderedImage,
    RenderedLayer,
    rendered_grid,
)
from scasnet_qgis.tiling.windows import Window

ZOOM_17 = 2 * 20037508.342789244 / 256 / 2**17
DUBAI: Extent = (6156000.0, 2953000.0, 6158000.0, 2954500.0)  # Web Mercator
UTM: Extent = (330010.0, 2789000.0, 331000.0, 2790005.0)


def wkt(epsg: int) -> str:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    return str(reference.ExportToWkt())


class Painted:
    """Draws the place of each pixel; every seventh of a row is transparent."""

    requests = 0

    def __init__(self) -> None:
        self.parts: list[Grid] = []

    def render_block(self, part: Grid, _progress: object) -> np.ndarray:
        self.parts.append(part)
        x, y = part.to_map(0.5, 0.5)
        rows, cols = np.mgrid[0 : part.rows, 0 : part.cols]
        red, green = x // 1 + cols, -y // 1 + rows
        alpha = np.where(cols % 7 == 0, 0, 255)
        return np.stack([red % 251, green % 241, 0 * red, alpha]).astype(np.uint8)


def layer_at(extent: Extent = UTM, limit: int = 100, **more) -> RenderedLayer:
    place = rendered_grid(extent, wkt(32640), 1.0, ())
    return RenderedLayer("photo", "wms", "a", place, 1.0, limit, Painted(), **more)


def test_pixels_have_the_wanted_size_on_the_ground() -> None:
    found = rendered_grid(UTM, wkt(32640), 0.5, ())
    assert found.grid.resolution == pytest.approx(0.5)
    assert (found.requests(7), found.own) == (7, False)
    web = rendered_grid(DUBAI, wkt(3857), 0.5, ())
    assert web.resolution == pytest.approx(0.5)
    assert web.grid.resolution == pytest.approx(0.5, rel=1e-3)
    assert web.grid.geotransform is not None
    assert web.grid.geotransform[1] == pytest.approx(0.5 / np.cos(np.radians(25.6)), rel=0.01)


def test_in_degrees_pixels_are_square_on_the_ground() -> None:
    found = rendered_grid((10.0, 60.0, 10.01, 60.01), wkt(4326), 2.0, ())
    assert found.grid.resolution == pytest.approx(2.0, rel=1e-3)
    assert found.grid.geotransform is not None
    _, width, _, _, _, height = found.grid.geotransform
    assert width == pytest.approx(-2 * height, rel=0.02), "the earth is half as wide there"


@pytest.mark.parametrize(("wanted", "own"), [(1.1, True), (1.0, True), (0.9, False), (1.3, False)])
def test_pixels_of_the_service_are_taken_where_they_are_near(wanted: float, own: bool) -> None:
    natives = [ZOOM_17 * 2**level for level in range(-2, 18)]
    found = rendered_grid(DUBAI, wkt(3857), wanted, natives)
    assert found.own == own
    assert (found.requests(9) == 36) == own
    assert found.resolution == pytest.approx(wanted, rel=0.1)


def test_tiles_that_lie_in_several_blocks_are_counted_once() -> None:
    """As 3 x 3 blocks of 2 x 2 tiles each, half a tile away: 7 x 7 tiles."""
    found = rendered_grid(UTM, wkt(32640), 1.0, [0.5, 1.0, 2.0], web=False)
    assert found.own
    assert found.requests(9) == 49


def test_a_service_without_such_fine_pixels_is_told_of(recorder) -> None:
    coarse = rendered_grid(DUBAI, wkt(3857), 1.1, [4 * ZOOM_17, 8 * ZOOM_17])
    assert coarse.source == pytest.approx(4.3, abs=0.1)
    layer = RenderedLayer("photo", "wms", "a", coarse, 1.1, 100, Painted(), rights=("A",))
    layer.begin(Window(0, 0, 9, 9), None, recorder)
    (warning,) = recorder.warnings
    assert "4.31 m" in warning


@pytest.mark.parametrize("shift", [0.0, 700.0])
def test_extents_that_overlap_share_pixels_and_blocks(shift: float) -> None:
    west, south, east, north = UTM
    grid = rendered_grid((west + shift, south, east + shift, north), wkt(32640), 1.0, ()).grid
    assert grid.geotransform is not None
    assert grid.geotransform[0] % BLOCK == 0
    assert grid.geotransform[3] % BLOCK == 0
    assert (grid.rows % BLOCK, grid.cols % BLOCK) == (0, 0)
    area = grid.window_of(west + shift, south, east + shift, north)
    assert (area.rows, area.cols) == (1005, 990)


def test_without_lengths_there_is_no_pixel_size() -> None:
    with pytest.raises(InputError):
        rendered_grid(UTM, "", 1.0, ())


def test_windows_are_put_together_from_whole_blocks(recorder) -> None:
    layer = layer_at()
    image = layer.open(("blue", "red", "green"), (), recorder)
    assert image.bands == [3, 1, 2]
    window = Window(400, 300, 300, 500)
    pixels, valid = image.read(window)
    assert pixels.shape == (3, 300, 500)
    assert not pixels[0].any()
    step = np.diff(pixels[1].astype(int), axis=1) % 251
    assert (step == 1).all(), "no seam between blocks"
    assert valid is not None
    assert valid.sum(axis=1).tolist() == [valid[0].sum()] * 300
    block_renderer = layer.block_renderer
    assert isinstance(block_renderer, Painted)
    assert {(part.rows, part.cols) for part in block_renderer.parts} == {(BLOCK, BLOCK)}
    assert len(block_renderer.parts) == 4
    image.read(window)
    assert len(block_renderer.parts) == 4, "they are kept"


def test_a_cancel_ends_reading(recorder) -> None:
    image = layer_at().open(("red", "green", "blue"), (), recorder)
    recorder.stop = True
    with pytest.raises(Cancelled):
        image.read(Window(0, 0, 10, 10))


def test_colours_are_no_values_of_other_sensors(recorder) -> None:
    image: RenderedImage = layer_at().open(("red", "green", "blue"), (), recorder)
    card = ModelCard("m", (ModelClass("a", "#000000"),), value_range=(0.0, 10000.0))
    assert image.scaling(card).high == (255.0,) * 3
    assert any("10000" in warning for warning in recorder.warnings)
    with pytest.raises(InputError, match="3"):
        layer_at().open(("red", "green", "blue", "nir"), (), recorder)


def corner(window: Window) -> np.ndarray:
    found = np.zeros((window.rows, window.cols), dtype=bool)
    found[: max(20 - window.row, 0), : max(20 - window.col, 0)] = True
    return found


@pytest.mark.parametrize(("inside", "needed"), [(None, 9), (corner, 1), (lambda _window: None, 9)])
def test_requests_are_counted_before_they_are_made(
    recorder, inside: Callable[[Window], np.ndarray | None] | None, needed: int
) -> None:
    area = Window(0, 0, 1200, 1100)
    layer_at(limit=needed).begin(area, inside, recorder)
    assert any(f" {needed} " in info for info in recorder.infos)
    if needed > 1:
        with pytest.raises(SettingError, match=rf"\b{needed}\b.*{needed - 1}"):
            layer_at(limit=needed - 1).begin(area, inside, recorder)


def test_attribution_is_told_or_asked_for(recorder) -> None:
    layer_at(rights=("A", "B")).begin(Window(0, 0, 9, 9), None, recorder)
    assert any("A; B" in info for info in recorder.infos)
    assert recorder.warnings == []
    layer_at().begin(Window(0, 0, 9, 9), None, recorder)
    assert len(recorder.warnings) == 1
