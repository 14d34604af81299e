"""A tile and map server on this computer that shows one image, and fails as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlsplit

import numpy as np
from osgeo import gdal

TILE = 256
ZOOM = 17
WORLD = 20037508.342789244  # half the width of the world in Web Mercator
PIXEL = 2 * WORLD / TILE / 2**ZOOM
COLUMN, ROW = 85672, 55872  # of the tile in whose corner the image begins: Dubai
LEFT, TOP = COLUMN * TILE * PIXEL - WORLD, WORLD - ROW * TILE * PIXEL
WMS_LEFT, WMS_TOP, WMS_PIXEL, WMS_EPSG = 330000.0, 2790000.0, 1.0, 32640
RIGHTS = "Survey of Nowhere, for tests"

_CAPABILITIES = """<?xml version="1.0" encoding="UTF-8"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>test</Title>
<OnlineResource xlink:href="{address}/wms"/><AccessConstraints>{rights}</AccessConstraints>
</Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{address}/wms?"/></Get></HTTP></DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{address}/wms?"/></Get></HTTP></DCPType></GetMap>
</Request><Exception><Format>XML</Format></Exception>
<Layer><Title>all</Title><CRS>EPSG:{epsg}</CRS>
<Layer queryable="0"><Name>image</Name><Title>image</Title><CRS>EPSG:{epsg}</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>55</westBoundLongitude>
<eastBoundLongitude>56</eastBoundLongitude><southBoundLatitude>24</southBoundLatitude>
<northBoundLatitude>26</northBoundLatitude></EX_GeographicBoundingBox>
<BoundingBox CRS="EPSG:{epsg}" minx="{west}" miny="{south}" maxx="{east}" maxy="{north}"/>
</Layer></Layer></Capability></WMS_Capabilities>
"""


class Service:
    """``image`` is [bands, rows, cols], red, green, blue and maybe alpha.

    ``failing`` gives HTTP statuses to answer with, by the paths of requests ("" for all), a list
    for one after another; -1 stands for no answer at all and 0 for a text. From the request
    ``gone_after`` on, nothing is answered. ``delay`` seconds go by before each answer.
    """

    def __init__(self, image: np.ndarray, address: str) -> None:
        self.image, self.address = image, address
        self.failing: dict[str, list[int]] = {}
        self.gone_after: int | None = None
        self.delay = 0.0
        self.requests: list[str] = []

    @property
    def xyz(self) -> str:
        """The source of a layer."""
        url = quote(self.address + "/{z}/{x}/{y}.png", safe="{}:/")
        return f"type=xyz&url={url}&zmin=0&zmax=19"

    @property
    def wms(self) -> str:
        url = quote(self.address + "/wms", safe=":/")
        return f"crs=EPSG:{WMS_EPSG}&format=image/png&layers=image&styles=&url={url}"

    @staticmethod
    def path(row: int, col: int) -> str:
        """Of a tile, counted from the first of the image."""
        return f"/{ZOOM}/{COLUMN + col}/{ROW + row}.png"

    def status(self, path: str) -> int:
        if self.gone_after is not None and len(self.requests) > self.gone_after:
            return -1
        waiting = self.failing.get(path) or self.failing.get("") or [200]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def answer(self, path: str, query: dict[str, str]) -> tuple[str, bytes] | None:
        if path == "/wms" and query.get("REQUEST") == "GetCapabilities":
            rows, cols = self.image.shape[1:]
            text = _CAPABILITIES.format(
                address=self.address,
                epsg=WMS_EPSG,
                rights=RIGHTS,
                west=WMS_LEFT,
                north=WMS_TOP,
                east=WMS_LEFT + cols * WMS_PIXEL,
                south=WMS_TOP - rows * WMS_PIXEL,
            )
            return "text/xml", text.encode()
        if path == "/wms":
            return "image/png", self._map(query)
        zoom, col, row = (int(part) for part in path.strip("/").split(".")[0].split("/"))
        if zoom != ZOOM:
            return None
        tile = self._part((row - ROW) * TILE, (col - COLUMN) * TILE, TILE, TILE)
        return "image/png", _png(tile)

    def _map(self, query: dict[str, str]) -> bytes:
        west, south, east, north = (float(part) for part in query["BBOX"].split(","))
        cols, rows = int(query["WIDTH"]), int(query["HEIGHT"])
        # What is drawn lies on the image's own pixels, but for a hair that QGIS leaves out.
        assert abs((east - west) / cols - WMS_PIXEL) < 1e-4
        assert abs((north - south) / rows - WMS_PIXEL) < 1e-4
        return _png(self._part(round(WMS_TOP - north), round(west - WMS_LEFT), rows, cols))

    def _part(self, row: int, col: int, rows: int, cols: int) -> np.ndarray:
        """Beyond the image, nothing: transparent."""
        result = np.zeros((4, rows, cols), dtype=np.uint8)
        bands, height, width = self.image.shape
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + rows, height), min(col + cols, width)
        if top < bottom and left < right:
            part = result[:, top - row : bottom - row, left - col : right - col]
            part[3] = 255
            part[:bands] = self.image[:, top:bottom, left:right]
        return result


def _png(rgba: np.ndarray) -> bytes:
    memory = gdal.GetDriverByName("MEM").Create("", rgba.shape[2], rgba.shape[1], 4)
    memory.WriteArray(rgba)
    name = f"/vsimem/tile_{threading.get_ident()}.png"
    gdal.GetDriverByName("PNG").CreateCopy(name, memory)
    size = gdal.VSIStatL(name).size
    file = gdal.VSIFOpenL(name, "rb")
    data = bytes(gdal.VSIFReadL(1, size, file))
    gdal.VSIFCloseL(file)
    gdal.Unlink(name)
    return data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: object) -> None:
        """The tests look at the requests themselves."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key.upper(): value for key, value in parse_qsl(parts.query)}
        if query.get("REQUEST") != "GetCapabilities":
            self.service.requests.append(parts.path)
        time.sleep(self.service.delay)
        status = self.service.status(parts.path)
        if status == -1:
            self.close_connection = True
            return
        found = self.service.answer(parts.path, query) if status == 200 else None
        if found is None:
            found = ("text/plain", b"no image")
            status = {200: 404, 0: 200}.get(status, status)
        if status == HTTPStatus.NO_CONTENT:
            found = ("text/plain", b"")
        self.send_response(status)
        self.send_header("Content-Type", found[0])
        self.send_header("Content-Length", str(len(found[1])))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(found[1])


@contextmanager
def serving(image: np.ndarray) -> Iterator[Service]:
    """A server as long as this lasts, at a port that no other had."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.service = Service(image, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield handler.service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
