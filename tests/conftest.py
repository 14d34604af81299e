"""What tests of several parts share; needs no QGIS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from scasnet_qgis.common.messages import Message
from scasnet_qgis.common.progress import Progress
from tests.reliability import ReliabilityPage

pytest_plugins = ["tests.real_qgis"]

# What starts QGIS, works with PyTorch or makes whole maps stays out of `make test-fast`, and so do
# tests marked slow.
NOT_FAST = {"algorithms", "mapping", "network", "qgis_ui", "training"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")
    parser.addoption("--only-long", action="store_true", help="run the tests marked long alone")
    parser.addoption("--fast", action="store_true", help="run what needs seconds, without QGIS")
    parser.addoption(
        "--reliability-page", type=Path, help="write what came of the tests marked fault to a file"
    )


def pytest_configure(config: pytest.Config) -> None:
    page = config.getoption("--reliability-page")
    if page:
        config.pluginmanager.register(ReliabilityPage(page))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = {item: _is_wanted(item, config) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not wanted[item]])
    items[:] = [item for item in items if wanted[item]]


def _is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    long = item.get_closest_marker("long") is not None
    if config.getoption("--only-long"):
        return long
    if config.getoption("--fast"):
        slow = item.get_closest_marker("slow") is not None
        return not (long or slow or NOT_FAST & {folder.name for folder in item.path.parents})
    return not long or config.getoption("--long")


class Recorder(Progress):
    """Keeps what it is told; cancelled once ``stop`` is true."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.stop = False

    def report(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def info(self, text: str | Message) -> None:
        self.infos.append(str(text))

    def warn(self, text: str | Message) -> None:
        self.warnings.append(str(text))

    @property
    def cancelled(self) -> bool:
        return self.stop


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def session() -> Iterator[None]:
    """GDAL as it is set during a run."""
    from scasnet_qgis.images.gdal_session import gdal_session

    with gdal_session():
        yield


class MakeRaster(Protocol):
    def __call__(self, values: Any, name: str = "image.tif", **how: Any) -> str: ...


@pytest.fixture
def make_raster(tmp_path: Path, session: None) -> MakeRaster:
    """Writes a small GeoTIFF of [bands, rows, cols] or [rows, cols] and returns its path.

    ``nodata`` is one value for all bands, ``mask`` [rows, cols] becomes a mask band (.msk),
    ``meaning`` are GDAL's colour interpretations, band by band.
    """
    from osgeo import gdal, gdal_array, osr

    def make(
        values: Any,
        name: str = "image.tif",
        *,
        geotransform: tuple[float, ...] | None = (500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5),
        epsg: int | None = 32640,
        nodata: float | None = None,
        mask: Any = None,
        meaning: tuple[int, ...] = (),
        options: tuple[str, ...] = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"),
    ) -> str:
        pixels = np.atleast_3d(values).transpose(2, 0, 1) if np.ndim(values) == 2 else values
        bands, rows, cols = pixels.shape
        kind = gdal_array.NumericTypeCodeToGDALTypeCode(pixels.dtype.type)
        path = tmp_path / name
        dataset = gdal.GetDriverByName("GTiff").Create(
            str(path), cols, rows, bands, kind, options=list(options)
        )
        if geotransform is not None:
            dataset.SetGeoTransform(geotransform)
        if epsg is not None:
            reference = osr.SpatialReference()
            reference.ImportFromEPSG(epsg)
            dataset.SetProjection(reference.ExportToWkt())
        for number, meant in enumerate(meaning, start=1):
            dataset.GetRasterBand(number).SetColorInterpretation(meant)
        for number, plane in enumerate(pixels, start=1):
            if nodata is not None:
                dataset.GetRasterBand(number).SetNoDataValue(nodata)
            dataset.GetRasterBand(number).WriteArray(plane)
        if mask is not None:
            gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "NO")
            dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
            band = dataset.GetRasterBand(1).GetMaskBand()
            band.WriteArray(np.where(mask, 255, 0).astype(np.uint8))
        return str(path)

    return make
