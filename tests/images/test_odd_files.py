"""Images in odd files: mosaics, archives, servers, containers, names, shapes and sizes."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from scasnet_qgis.common.errors import InputError
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.images.reader import RasterReader
from scasnet_qgis.mapping.job import make_map
from scasnet_qgis.models.model_file import inspect
from tests.conftest import MakeRaster
from tests.map_settings import map_settings
from tests.mapping.test_job import direct, noise, run
from tests.models import tiny_models

IMAGE = noise(90, 80)
RGB = ("red", "green", "blue")
EAST = (500060.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)  # 40 pixels east of the first image's end


def mosaic(make_raster: MakeRaster, tmp_path: Path, *, nodata: int | None = None) -> Path:
    """Two images beside each other with a gap of 40 columns between them."""
    first = make_raster(IMAGE, "first.tif", nodata=nodata)
    second = make_raster(IMAGE[:, :, ::-1], "second.tif", geotransform=EAST, nodata=nodata)
    target = tmp_path / "mosaic.vrt"
    assert gdal.BuildVRT(str(target), [first, second]) is not None
    return target


def with_gap() -> np.ndarray:
    return np.concatenate([IMAGE, np.zeros((3, 90, 40), np.uint8), IMAGE[:, :, ::-1]], axis=2)


@pytest.mark.fault(
    "A mosaic (.vrt) with parts that lie in none of its files, and a nodata value.",
    "These parts hold no data.",
)
def test_holes_of_a_mosaic(make_raster: MakeRaster, tmp_path: Path) -> None:
    labels, _ = run(str(mosaic(make_raster, tmp_path, nodata=0)), tmp_path)
    image = with_gap()
    np.testing.assert_array_equal(labels, direct(image / 255, image.any(axis=0)))


@pytest.mark.fault(
    "A mosaic with such parts and without a nodata value.",
    "They read as black and are mapped; a warning says so and what to do.",
)
def test_holes_without_nodata(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = str(mosaic(make_raster, tmp_path))
    labels, _ = run(source, tmp_path)
    np.testing.assert_array_equal(labels, direct(with_gap() / 255))
    (warning,) = RasterReader(source, RGB, (), Progress()).warnings
    assert "mosaic has gaps" in str(warning)


@pytest.mark.fault(
    "A file of a mosaic is missing.",
    "The run ends before it begins, with one sentence that names the file; nothing is black.",
)
@pytest.mark.parametrize("nodata", [None, 0])
def test_a_missing_file_of_a_mosaic(
    make_raster: MakeRaster, tmp_path: Path, nodata: int | None
) -> None:
    source = mosaic(make_raster, tmp_path, nodata=nodata)
    (tmp_path / "second.tif").unlink()
    with pytest.raises(InputError, match=r"second\.tif"):
        run(str(source), tmp_path)
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.fault(
    "A file is missing of a mosaic that is part of another mosaic.",
    "The run ends where it should be read, with one sentence; nothing is black.",
)
def test_a_missing_file_further_down(make_raster: MakeRaster, tmp_path: Path) -> None:
    inner = mosaic(make_raster, tmp_path)
    outer = tmp_path / "outer.vrt"
    gdal.BuildVRT(str(outer), [str(inner)])
    (tmp_path / "second.tif").unlink()
    with pytest.raises(InputError):
        run(str(outer), tmp_path)


@pytest.mark.fault("An image inside a .zip file.", "It is mapped as it lies there.")
def test_inside_a_zip(make_raster: MakeRaster, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.write(make_raster(IMAGE), "folder/image.tif")
    labels, _ = run(f"/vsizip/{tmp_path}/images.zip/folder/image.tif", tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of the test's folder on a server of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.mark.fault(
    "A cloud-optimised GeoTIFF on a web server (/vsicurl/).", "It is mapped from there."
)
def test_on_a_web_server(make_raster: MakeRaster, tmp_path: Path, server: str) -> None:
    gdal.Translate(str(tmp_path / "cog.tif"), make_raster(IMAGE), format="COG")
    labels, _ = run(f"/vsicurl/{server}/cog.tif", tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


@pytest.mark.fault("A file on a web server that is not there.", "One sentence.")
def test_not_on_a_web_server(tmp_path: Path, server: str, session: None) -> None:
    with pytest.raises(InputError, match=r"none\.tif"):
        run(f"/vsicurl/{server}/none.tif", tmp_path)


@pytest.mark.fault("A cloud-optimised GeoTIFF.", "It is mapped like any GeoTIFF.")
def test_cloud_optimised(make_raster: MakeRaster, tmp_path: Path) -> None:
    gdal.Translate(str(tmp_path / "cog.tif"), make_raster(IMAGE), format="COG")
    labels, _ = run(str(tmp_path / "cog.tif"), tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


@pytest.mark.fault("A JPEG 2000 image.", "It is mapped where QGIS can read the format.")
def test_jpeg_2000(make_raster: MakeRaster, tmp_path: Path) -> None:
    if gdal.GetDriverByName("JP2OpenJPEG") is None:
        pytest.skip("this GDAL has no driver for JPEG 2000")
    options = ["QUALITY=100", "REVERSIBLE=YES"]
    gdal.Translate(
        str(tmp_path / "image.jp2"),
        make_raster(IMAGE),
        format="JP2OpenJPEG",
        creationOptions=options,
    )
    labels, _ = run(str(tmp_path / "image.jp2"), tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


@pytest.mark.fault(
    "A format that needs a driver which this QGIS lacks (ECW, MrSID).",
    "One sentence names the driver.",
)
@pytest.mark.parametrize(("name", "driver"), [("image.ecw", "ECW"), ("image.sid", "MrSID")])
def test_a_format_without_a_driver(tmp_path: Path, name: str, driver: str, session: None) -> None:
    if gdal.GetDriverByName(driver) is not None:
        pytest.skip("this GDAL has the driver")
    (tmp_path / name).write_bytes(b"\x65\x02\x00\x00" + bytes(400))
    with pytest.raises(InputError, match=rf"\b{driver}\b"):
        run(str(tmp_path / name), tmp_path)


@pytest.mark.fault(
    "A GeoPackage with several rasters.",
    "The file itself is refused with one sentence; each of its rasters is mapped.",
)
def test_a_geopackage_of_rasters(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = str(tmp_path / "rasters.gpkg")
    for name, image in (("one", IMAGE[:, ::-1]), ("two", IMAGE)):
        options = [f"RASTER_TABLE={name}", "TILE_FORMAT=PNG", "APPEND_SUBDATASET=YES"]
        source = make_raster(image, f"{name}.tif")
        gdal.Translate(path, source, format="GPKG", creationOptions=options[: 2 + (name == "two")])
    with pytest.raises(InputError, match=r"rasters\.gpkg"):
        run(path, tmp_path)
    labels, _ = run(f"GPKG:{path}:two", tmp_path)
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


@pytest.mark.fault(
    "A netCDF file with several variables.",
    "The file is refused with one sentence, and so is a variable with too few bands.",
)
def test_netcdf(make_raster: MakeRaster, tmp_path: Path) -> None:
    if gdal.GetDriverByName("netCDF") is None:
        pytest.skip("this GDAL has no driver for netCDF")
    path = str(tmp_path / "image.nc")
    gdal.Translate(path, make_raster(IMAGE), format="netCDF")
    with pytest.raises(InputError, match=r"image\.nc"):
        run(path, tmp_path)
    with pytest.raises(InputError, match=r"1.*3"):
        run(f'NETCDF:"{path}":Band1', tmp_path)


NAMES = [
    *("a b", "Zürich Äcker", "it's", 'say "x"', "100% sure", "no#1", "what?", "a&b;c", "[1]"),
    "日本",
]


@pytest.mark.fault(
    "Names of image, map and folder with spaces, umlauts, quotes, %, #, ?, & and others.",
    "They work.",
)
@pytest.mark.parametrize("name", NAMES)
def test_odd_names(make_raster: MakeRaster, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    source = make_raster(IMAGE, f"{name}/{name}.tif")
    model = tiny_models.pixelwise(folder / f"{name}.onnx", classes=8)
    request = map_settings(source, inspect(model), folder / f"{name} map.tif", threads=1)
    make_map(request, Progress(), lambda _path, _classes: None)
    labels = gdal.Open(str(request.output.map)).ReadAsArray()
    np.testing.assert_array_equal(labels, direct(IMAGE / 255))


@pytest.mark.fault(
    "The image lies in a folder where nothing can be written.",
    "It is mapped: nothing is ever written beside the image.",
)
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_nothing_is_written_beside_the_image(
    make_raster: MakeRaster, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source = Path(make_raster(noise(90, 80, kind=kind), "in/image.tif"))
    before = source.stat().st_mtime_ns, source.parent.stat().st_mtime_ns
    run(str(source), tmp_path / "out", sieve=4.0)
    assert (source.stat().st_mtime_ns, source.parent.stat().st_mtime_ns) == before
    assert list(source.parent.iterdir()) == [source]


@pytest.mark.fault("An image of 1 x 1, 1 x 5000 or 5000 x 1 pixels.", "It is mapped to its end.")
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_thin_images(make_raster: MakeRaster, tmp_path: Path, shape: tuple[int, int]) -> None:
    image = noise(*shape)
    labels, _ = run(make_raster(image), tmp_path, tile_size=512)
    np.testing.assert_array_equal(labels.reshape(shape), direct(image / 255))


@pytest.mark.fault("An image with 100 bands.", "The model gets its first three, or those chosen.")
def test_100_bands(make_raster: MakeRaster, tmp_path: Path) -> None:
    image = noise(40, 50, bands=100)
    source = make_raster(image)
    np.testing.assert_array_equal(run(source, tmp_path)[0], direct(image[:3] / 255))
    labels, _ = run(source, tmp_path, bands=(100, 50, 7))
    np.testing.assert_array_equal(labels, direct(image[[99, 49, 6]] / 255))


@pytest.mark.fault(
    "A grey image with one band for a model that needs three.",
    "One sentence names the bands; none is silently repeated.",
)
def test_one_band(make_raster: MakeRaster, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1.*3.*red, green, blue"):
        run(make_raster(IMAGE[0]), tmp_path)


SIDE = 200_000


@pytest.fixture
def enormous(tmp_path: Path, session: None) -> str:
    """40 thousand megapixels without data, but for two islands."""
    path = str(tmp_path / "enormous.tif")
    options = ["SPARSE_OK=TRUE", "TILED=YES", "BIGTIFF=YES", "COMPRESS=DEFLATE"]
    dataset = gdal.GetDriverByName("GTiff").Create(path, SIDE, SIDE, 3, options=options)
    dataset.SetGeoTransform((0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    for number, plane in enumerate(IMAGE, start=1):
        dataset.GetRasterBand(number).SetNoDataValue(0)
        for place in ((120_064, 70_144), (3, 199_000)):
            dataset.GetRasterBand(number).WriteArray(plane, *place)
    return path


@pytest.mark.fault(
    "An extent in an image of 200,000 x 200,000 pixels.", "It is mapped in about a second."
)
def test_a_part_of_an_enormous_image(enormous: str, tmp_path: Path) -> None:
    labels, _ = run(enormous, tmp_path, extent=(120_054.0, -70_244.0, 120_154.0, -70_134.0))
    expected = np.zeros((110, 100), np.uint8)
    expected[10:100, 10:90] = direct(IMAGE / 255)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.fault(
    "All of an image of 200,000 x 200,000 pixels in which nearly nothing is stored.",
    "The windows where nothing is stored are known without reading them.",
)
def test_an_enormous_image_is_not_read_where_it_is_empty(
    enormous: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scasnet_qgis.tiling.windows import Window

    reader = RasterReader(enormous, RGB, (), Progress())
    windows: list[Window] = []
    read = RasterReader._read
    monkeypatch.setattr(
        RasterReader, "_read", lambda self, window: windows.append(window) or read(self, window)
    )
    step = 4000
    held = [
        (row, col)
        for row in range(0, SIDE, step)
        for col in range(0, SIDE, step)
        if reader.may_hold_data(Window(row, col, step, step))
    ]
    assert held == [(68_000, 120_000), (196_000, 0)]
    assert [window.rows for window in windows] == [1], "one pixel shows what missing blocks read as"
