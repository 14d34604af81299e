"""How outputs and extents are named: the input is never overwritten, nothing is misread."""

from __future__ import annotations

import os
import shutil

import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRectangle, QgsVectorLayer

from tests.real_qgis import CLASSES, leftovers, legend_of


@pytest.fixture
def source(image, tmp_path):
    """A copy of the image that a test may lose, with other ways to name it beside it."""
    path = tmp_path / "image.tif"
    shutil.copy(image, path)
    (tmp_path / "a").mkdir()
    (tmp_path / "link.tif").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.link(path, tmp_path / "hard.tif")
    return path


@pytest.mark.parametrize("name", ["OUTPUT", "PROBABILITIES"])
@pytest.mark.parametrize(
    "spelling",
    [
        "image.tif",
        "a/../image.tif",
        "./image.tif",
        "/image.tif",
        "link.tif",
        "folder/image.tif",
        "hard.tif",
    ],
)
def test_input_by_another_name_is_not_overwritten(refused, source, tmp_path, name, spelling):
    before, names = source.read_bytes(), [path.name for path in tmp_path.iterdir()]
    outputs = {"OUTPUT": str(tmp_path / "map.tif"), name: f"{tmp_path}/{spelling}"}
    assert "name" in refused("scasnet:segment", INPUT=str(source), **outputs)
    assert source.read_bytes() == before
    assert (tmp_path / "link.tif").is_symlink()
    assert leftovers(tmp_path, *names, "image.tif.aux.xml") == []


def test_input_by_a_relative_path_is_not_overwritten(refused, source, tmp_path, monkeypatch):
    before = source.read_bytes()
    monkeypatch.chdir(tmp_path)
    assert "name" in refused("scasnet:segment", INPUT=str(source), OUTPUT="image.tif")
    assert "name" in refused("scasnet:segment", INPUT="image.tif", OUTPUT=str(source))
    assert source.read_bytes() == before


@pytest.mark.parametrize("depth", [1, 2])
def test_source_of_a_virtual_raster_is_not_overwritten(refused, source, tmp_path, depth):
    before, virtual = source.read_bytes(), source
    for level in range(depth):
        inner, virtual = virtual, tmp_path / f"level{level}.vrt"
        gdal.BuildVRT(str(virtual), [str(inner)]).FlushCache()
    assert "name" in refused("scasnet:segment", INPUT=str(virtual), OUTPUT=str(source))
    assert source.read_bytes() == before


def test_doubled_slash_still_gives_a_styled_layer(provider, image, tmp_path):
    import processing

    target = f"{tmp_path}//m.tif"
    processing.runAndLoadResults("scasnet:segment", {"INPUT": str(image), "OUTPUT": target})
    (layer,) = QgsProject.instance().mapLayers().values()
    assert [entry.label for entry in layer.renderer().classes()] == CLASSES
    assert legend_of(layer) == CLASSES
    QgsProject.instance().removeAllMapLayers()


@pytest.mark.parametrize("kind", ["Polygon", "NoGeometry"])
def test_extent_of_an_empty_layer_is_refused(refused, feedback, image, tmp_path, kind):
    """QGIS gives what is wrong before the run starts to the log, not to the exception."""
    layer = QgsVectorLayer(f"{kind}?crs=EPSG:32640", "nothing", "memory")
    assert layer.isValid()
    target = tmp_path / "map.tif"
    message = refused("scasnet:segment", INPUT=str(image), OUTPUT=str(target), EXTENT=layer)
    assert "extent" in message + feedback.textLog()
    assert leftovers(tmp_path) == []


def test_null_extent_is_refused(refused, image, tmp_path):
    """By QGIS itself."""
    target = tmp_path / "map.tif"
    assert "EXTENT" in refused(
        "scasnet:segment", INPUT=str(image), OUTPUT=str(target), EXTENT=QgsRectangle()
    )
    assert leftovers(tmp_path) == []
