"""scasnet:segment of web layers that are refused, fail, or are cancelled."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qgis.core import QgsNetworkAccessManager, QgsProject, QgsRasterLayer

from scasnet_qgis.outputs import workspace as work
from tests.real_qgis import RecordingFeedback, leftovers, pixels
from tests.tile_server import Service, serving
from tests.web_layers import TILES, box


@pytest.fixture
def refused_map(refused, tmp_path):
    """The sentence that a run is refused with; there is no map then."""

    def call(**parameters) -> str:
        output = str(tmp_path / "map.tif")
        sentence = refused("scasnet:segment", OUTPUT=output, **{**TILES, **parameters})
        assert not (tmp_path / "map.tif").exists()
        return sentence

    return call


def test_without_an_extent_it_is_refused(refused_map, layer, service):
    assert "set an extent" in refused_map(INPUT=layer)
    assert service.requests == []


def test_more_requests_than_allowed_are_refused_before_any_is_sent(
    refused_map, layer, service, tmp_path
):
    sentence = refused_map(INPUT=layer, EXTENT=box(0, 0, 600, 600), MAX_REQUESTS=15)
    assert "16" in sentence
    assert "15" in sentence
    assert service.requests == []
    assert leftovers(tmp_path) == []


def test_an_extent_elsewhere_is_refused(refused_map, qgis_app, service):
    layer = QgsRasterLayer(service.wms, "map", "wms")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    sentence = refused_map(INPUT=layer, EXTENT="0,100,0,100 [EPSG:32640]")
    QgsProject.instance().removeAllMapLayers()
    assert "map" in sentence


@pytest.mark.parametrize(
    ("status", "words", "tries"),
    [
        (404, "404", 1),
        (403, "403", 1),
        (500, "500", 3),
        (-1, "connection", 3),
        (0, "text/plain", 1),
        (204, "empty", 1),
    ],
)
def test_what_a_service_leaves_out_stops_the_run(
    refused_map, layer, service, tmp_path, status, words, tries
):
    service.failing[Service.path(0, 1)] = [status]
    assert words in refused_map(INPUT=layer, EXTENT=box(0, 0, 100, 100))
    count = service.requests.count(Service.path(0, 1))
    # Where there is no answer, Qt itself tries again.
    assert count == tries if status != -1 else count >= tries
    assert leftovers(tmp_path) == []


def test_a_service_that_is_too_slow_stops_the_run(refused_map, layer, service):
    before = QgsNetworkAccessManager.timeout()
    QgsNetworkAccessManager.setTimeout(300)
    service.delay = 5.0
    try:
        sentence = refused_map(INPUT=layer, EXTENT=box(0, 0, 100, 100))
    finally:
        QgsNetworkAccessManager.setTimeout(before)
    assert "in time" in sentence
    assert service.requests.count(Service.path(0, 0)) == 3


def test_a_service_that_stumbles_is_asked_again(run, layer, service, picture, tmp_path):
    extent = {"EXTENT": box(0, 0, 200, 200)}
    run("scasnet:segment", INPUT=layer, OUTPUT=str(tmp_path / "fine.tif"), **extent, **TILES)
    with serving(picture) as other:
        other.failing[Service.path(0, 0)] = [503, 429, 200]
        again = QgsRasterLayer(other.xyz, "again", "wms")
        run("scasnet:segment", INPUT=again, OUTPUT=str(tmp_path / "map.tif"), **extent, **TILES)
        assert other.requests.count(Service.path(0, 0)) == 3
    np.testing.assert_array_equal(pixels(tmp_path / "map.tif"), pixels(tmp_path / "fine.tif"))


def test_a_run_whose_server_went_away_goes_on_when_it_is_back(
    run, refused_map, layer, service, picture, tmp_path, feedback, monkeypatch
):
    monkeypatch.setattr(work, "MIN_KEPT_SECONDS", 0.0)
    how = {"INPUT": layer, "EXTENT": box(0, 0, 1000, 200), **TILES}
    target = tmp_path / "map.tif"
    service.gone_after = 4
    assert "again later" in refused_map(**how)
    service.gone_after, asked = None, len(service.requests)
    run("scasnet:segment", OUTPUT=str(target), **how)
    assert any(line.startswith("Resuming an interrupted run") for line in feedback.lines)
    assert len(service.requests) > asked
    with serving(picture) as other:
        fresh = QgsRasterLayer(other.xyz, "tiles", "wms")
        once = tmp_path / "once.tif"
        run("scasnet:segment", **{**how, "INPUT": fresh}, OUTPUT=str(once))
    assert target.read_bytes() == once.read_bytes()


def test_a_cancel_does_not_wait_for_the_network(provider, context, layer, service, tmp_path):
    import processing

    service.delay = 30.0

    class Impatient(RecordingFeedback):
        def pushInfo(self, info: str) -> None:
            super().pushInfo(info)
            if " tile" in info and " columns x " in info:
                self.began = time.monotonic()

        def isCanceled(self) -> bool:
            began = getattr(self, "began", None)
            return began is not None and time.monotonic() - began > 1.0

    feedback = Impatient()
    parameters = {"INPUT": layer, "EXTENT": box(0, 0), "OUTPUT": str(tmp_path / "map.tif")}
    processing.run("scasnet:segment", parameters, context=context, feedback=feedback)
    assert service.requests
    assert time.monotonic() - feedback.began < 6.0
    assert leftovers(tmp_path) == []
