"""scasnet:segment of layers without a file, from a server on this computer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer

from scasnet_qgis.images.rendered_layer import RenderedImage, rendered_grid
from scasnet_qgis.outputs.provenance.run_record import Record
from scasnet_qgis.qgis_ui.about.map_report import sections
from scasnet_qgis.qgis_ui.layers.layer_renderer import LayerRenderer
from scasnet_qgis.tiling.windows import Window
from tests.conftest import Recorder
from tests.labels.layers import polygon, write_layer
from tests.real_qgis import pixels, qgis_process
from tests.tile_server import LEFT, PIXEL, TOP, WMS_EPSG, WMS_LEFT, WMS_PIXEL, WMS_TOP, Service
from tests.web_layers import TILES, box

FINISHED = ["map.qml", "map.tif", "map.tif.aux.xml", "map.tif.scasnet"]


def as_file(path: Path, image: np.ndarray, left: float, top: float, size: float, epsg: int) -> Path:
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), image.shape[2], image.shape[1], 3, options=["PHOTOMETRIC=RGB"]
    )
    dataset.WriteArray(image)
    dataset.SetGeoTransform((left, size, 0.0, top, 0.0, -size))
    dataset.SetProjection(QgsCoordinateReferenceSystem(f"EPSG:{epsg}").toWkt())
    return path


def record_of(target: Path) -> dict:
    return json.loads(Path(str(target) + ".scasnet").read_text())


def test_tiles_give_the_map_of_the_same_pixels_in_a_file(
    run, layer, service, picture, tmp_path, feedback
):
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, EXTENT=box(100, 150), OUTPUT=str(target), **TILES)
    file = as_file(tmp_path / "file.tif", picture, LEFT, TOP, PIXEL, 3857)
    expected = tmp_path / "expected.tif"
    run("scasnet:segment", INPUT=str(file), EXTENT=box(100, 150), OUTPUT=str(expected), **TILES)
    np.testing.assert_array_equal(pixels(target), pixels(expected))
    assert len(np.unique(pixels(target))) > 1
    places = [gdal.Open(str(path)).GetGeoTransform() for path in (target, expected)]
    assert places[0] == pytest.approx(places[1], abs=1e-4)
    # Two blocks of two by two tiles, each tile once.
    tiles = {Service.path(row, col) for row in (0, 1) for col in range(4)}
    assert sorted(service.requests) == sorted(tiles)


def test_who_is_to_be_named_stands_in_the_log_and_beside_the_map(
    run, layer, tmp_path, feedback, service
):
    layer.setAttribution("Tiles of Nowhere")
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, EXTENT=box(0, 0, 100, 100), OUTPUT=str(target), **TILES)
    assert any("Tiles of Nowhere" in line for line in feedback.lines)
    record = record_of(target)
    assert record["input"]["rendered"]["attribution"] == "Tiles of Nowhere"
    assert record["input"]["rendered"]["own_pixels"] is True
    assert record["input"]["rendered"]["provider"] == "wms"
    assert record["input"]["rendered"]["requests"] == len(service.requests)
    assert service.address in record["input"]["source"]
    assert record["repeat"]["parameters"]["INPUT"] == f"wms://{layer.source()}"
    assert float(record["repeat"]["parameters"]["PIXEL_SIZE"]) > 0
    told = dict(dict(sections(Record(record)))["Image"])
    assert told["Attribution of the image"] == "Tiles of Nowhere"
    assert told["Service"] == f"wms, {layer.source()}"
    stamp = gdal.Open(str(target)).GetMetadata("SCASNET")
    assert stamp["IMAGE_ATTRIBUTION"] == "Tiles of Nowhere"


def test_a_layer_without_attribution_gets_a_reminder(run, layer, tmp_path, feedback):
    run("scasnet:segment", INPUT=layer, EXTENT=box(0, 0, 64, 64), OUTPUT=str(tmp_path / "map.tif"))
    assert any("terms of use" in warning for warning in feedback.warnings)


def test_what_the_mask_leaves_out_is_not_asked_for(run, layer, service, tmp_path):
    def place(row: float, col: float) -> tuple[float, float]:
        return LEFT + col * PIXEL, TOP - row * PIXEL

    corners = [(20, 20), (90, 20), (90, 90), (20, 90)]
    shape = polygon([place(*corner) for corner in corners])
    mask = write_layer(tmp_path / "mask.gpkg", [("a", shape)], epsg=3857)
    how = {"EXTENT": box(0, 0, 1000, 1000), "MASK": mask, "MAX_REQUESTS": 4}
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, OUTPUT=str(target), **how, **TILES)
    assert sorted(service.requests) == sorted(Service.path(r, c) for r in (0, 1) for c in (0, 1))
    found = np.zeros((1000, 1000), dtype=bool)
    found[20:90, 20:90] = True
    np.testing.assert_array_equal(pixels(target) > 0, found)


def test_transparent_pixels_hold_no_data(run, layer, tmp_path):
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, EXTENT=box(900, 900, 150, 150), OUTPUT=str(target))
    found = pixels(target) > 0
    assert found[:100, :100].all()
    assert not found[100:].any()
    assert not found[:, 100:].any()


def test_a_map_service_gives_the_map_of_the_same_pixels(
    run, qgis_app, service, picture, tmp_path, feedback
):
    layer = QgsRasterLayer(service.wms, "map", "wms")
    assert layer.isValid()
    west, north = WMS_LEFT + 30, WMS_TOP - 40
    extent = f"{west},{west + 300},{north - 200},{north} [EPSG:{WMS_EPSG}]"
    target, expected = tmp_path / "map.tif", tmp_path / "expected.tif"
    how = {"EXTENT": extent, **TILES}
    run("scasnet:segment", INPUT=layer, PIXEL_SIZE=1.0, OUTPUT=str(target), **how)
    file = as_file(tmp_path / "f.tif", picture, WMS_LEFT, WMS_TOP, WMS_PIXEL, WMS_EPSG)
    run("scasnet:segment", INPUT=str(file), OUTPUT=str(expected), **how)
    np.testing.assert_array_equal(pixels(target), pixels(expected))
    assert 1 <= len(service.requests) <= 4
    assert record_of(target)["input"]["rendered"]["own_pixels"] is False


def test_a_layer_of_another_provider_is_mapped_in_its_colours(run, qgis_app, picture, tmp_path):
    file = as_file(tmp_path / "f.tif", picture, WMS_LEFT, WMS_TOP, WMS_PIXEL, WMS_EPSG)
    rows, cols = picture.shape[1:]
    box = f"{WMS_LEFT},{WMS_TOP - rows},{WMS_LEFT + cols},{WMS_TOP}"
    source = (
        f"?crs=EPSG:{WMS_EPSG}&extent={box}&width={cols}&height={rows}&formula=%22a%401%22"
        f"&a:uri={file}&a:provider=gdal"
    )
    layer = QgsRasterLayer(source, "computed", "virtualraster")
    assert layer.isValid()
    extent = f"{WMS_LEFT},{WMS_LEFT + 150},{WMS_TOP - 100},{WMS_TOP}"
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, PIXEL_SIZE=1.0, EXTENT=extent, OUTPUT=str(target))
    assert pixels(target).shape == (100, 150)
    assert pixels(target).all()
    assert record_of(target)["input"]["rendered"]["look"]["renderer"] == "singlebandgray"


def test_windows_are_the_same_however_they_are_cut(qgis_app, layer):
    """Also where the service's tiles are resampled, as here."""
    extent = (LEFT, TOP - 990 * PIXEL, LEFT + 990 * PIXEL, TOP)
    place = rendered_grid(
        extent, layer.crs().toWkt(), 1.3, layer.dataProvider().nativeResolutions()
    )
    assert not place.own

    def image() -> RenderedImage:
        block_renderer = LayerRenderer(layer, "tiles")
        return RenderedImage(block_renderer, place.grid, ("red", "green", "blue"), (), Recorder())

    whole, valid = image().read(Window(100, 200, 700, 650))
    assert valid is not None
    assert valid.mean() > 0.5
    assert whole.std() > 10
    pieces = image()
    for row, col, rows, cols in ((100, 200, 333, 77), (433, 277, 367, 573), (380, 601, 1, 200)):
        part, _ = pieces.read(Window(row, col, rows, cols))
        top, left = row - 100, col - 200
        np.testing.assert_array_equal(part, whole[:, top : top + rows, left : left + cols])


@pytest.mark.parametrize("named_by_its_source", [False, True])
@pytest.mark.parametrize(
    ("plain", "secret"),
    [
        (".png", ".png?key%3Dhush123"),
        (".png", ".png?a%3D1%26access_token%3Dhush123"),
        ("http://", "http://somebody:hush123@"),
    ],
)
def test_keys_are_not_written_down(
    run, qgis_app, service, tmp_path, feedback, plain, secret, named_by_its_source
):
    """QGIS 3.40 gives a layer from the command line its source as its name."""
    source = service.xyz.replace(plain, secret)
    assert source != service.xyz
    layer = QgsRasterLayer(source, source if named_by_its_source else "tiles", "wms")
    target = tmp_path / "map.tif"
    run("scasnet:segment", INPUT=layer, EXTENT=box(0, 0, 64, 64), OUTPUT=str(target))
    for name in FINISHED:
        assert b"hush123" not in (tmp_path / name).read_bytes()
    assert "hush123" not in "\n".join([*feedback.lines, *feedback.warnings])
    shown = record_of(target)["input"]["rendered"]["name"]
    assert shown == (service.address if named_by_its_source else "tiles")
    notes = record_of(target)["repeat"]["notes"]
    assert any("password" in note for note in notes)


@pytest.mark.long
def test_the_command_line_takes_the_source_of_a_layer(service, tmp_path):
    target = tmp_path / "map.tif"
    done = qgis_process(
        "run",
        "scasnet:segment",
        "--",
        f"INPUT=wms://{service.xyz}",
        f"EXTENT={box(0, 0, 100, 120)}",
        f"OUTPUT={target}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert pixels(target).shape == (100, 120)
    assert f"Layer {service.address}" in done.stdout + done.stderr
