"""A file of ours in GeoDeep itself, and under what Deepness's code expects of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from osgeo import gdal, osr

from scasnet_qgis.common.model_card import ModelCard, ModelClass, default_color
from scasnet_qgis.common.progress import Progress
from scasnet_qgis.models.backend import OnnxBackend
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network.onnx_export import export
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.export.job import export_task
from tests.network.test_onnx_export import picture
from tests.network.weights import randomise

pytestmark = pytest.mark.slow

SIZE = 96
NAMES = ["building", "land", "road", "vegetation", "water"]


@pytest.fixture(scope="module", params=["fp32", "fp16", "int8"])
def model(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A narrow ScasNet, exported for tiles of fixed size in every precision."""
    network = ScasNet(ScasNetConfig("vgg", 3, len(NAMES), 0.05))
    randomise(network, picture(2, 120, 120))
    card = ModelCard(
        name="narrow",
        classes=tuple(ModelClass(name, default_color(k)) for k, name in enumerate(NAMES)),
        mean=(0.4, 0.5, 0.6),
        std=(0.9, 1.0, 1.1),
        resolution=(0.3, 0.6),
        tile_size=512,
        overlap=128,
    )
    folder = tmp_path_factory.mktemp("peers")
    export(network, card, folder / "free.onnx", sample=picture(1, 120, 120))
    write_image(folder / "image.tif", pixels(250, 260))
    wanted = {
        "source": folder / "free.onnx",
        "output": folder / "narrow.onnx",
        "precision": request.param,
        "raster": str(folder / "image.tif"),
        "fixed_size": SIZE,
    }
    export_task(wanted, Progress())
    return folder / "narrow.onnx"


def pixels(rows: int, cols: int) -> np.ndarray:
    return (picture(1, rows, cols)[0].numpy() * 255).round().astype(np.uint8)


def write_image(path: Path, image: np.ndarray) -> None:
    """A tiled RGB GeoTIFF with half-metre pixels."""
    bands, rows, cols = image.shape
    options = ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "PHOTOMETRIC=RGB"]
    file = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands, options=options)
    file.SetGeoTransform((300_000, 0.5, 0, 2_800_000, 0, -0.5))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32640)
    file.SetProjection(system.ExportToWkt())
    file.WriteArray(image)
    file.FlushCache()


def our_classes(model: Path, tiles: list[np.ndarray]) -> np.ndarray:
    """Class indices [N, S, S] of 8-bit tiles."""
    with OnnxBackend(inspect(model), "cpu", 1, (SIZE, SIZE)) as backend:
        return backend.predict(np.stack(tiles).astype(np.float32) / 255).argmax(axis=1)


def test_geodeep_maps_one_tile_as_we_do(model: Path, tmp_path: Path) -> None:
    geodeep = pytest.importorskip("geodeep")
    from scipy.ndimage import median_filter

    image = pixels(SIZE, SIZE)
    write_image(tmp_path / "image.tif", image)
    theirs = geodeep.segment(str(tmp_path / "image.tif"), str(model))
    ours = our_classes(model, [image])[0]
    counts = np.bincount(ours.ravel(), minlength=len(NAMES))
    assert (counts > 100).sum() >= 3  # a map of one class would agree with anything
    # GeoDeep smooths every map; nothing else may differ.
    np.testing.assert_array_equal(theirs, median_filter(ours, 5))


def test_geodeep_maps_many_tiles_as_we_do(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("geodeep")
    from geodeep import segment
    from geodeep.segmentation import merge_mask
    from geodeep.slidingwindow import generate_for_size
    from scipy.ndimage import median_filter

    rows, cols = 210, 300
    image = pixels(rows, cols)
    write_image(tmp_path / "image.tif", image)
    metadata = onnxruntime.InferenceSession(str(model)).get_modelmeta().custom_metadata_map
    share = float(metadata["tiles_overlap"]) / 100
    windows = generate_for_size(cols, rows, SIZE, share, clip=False)
    assert len(windows) > 6
    cut = [
        image[:, window.row_off : window.row_off + SIZE, window.col_off : window.col_off + SIZE]
        for window in windows
    ]
    ours = np.zeros((rows, cols), dtype=np.uint8)
    for window, classes in zip(windows, our_classes(model, cut)):
        merge_mask(classes[None], ours, window, cols, rows, share, 1)
    theirs = segment(str(tmp_path / "image.tif"), str(model))
    np.testing.assert_array_equal(theirs, median_filter(ours, 5))


def test_geodeep_reads_our_card(model: Path) -> None:
    inference = pytest.importorskip("geodeep.inference")
    _, config = inference.create_session(str(model))
    assert config["model_type"] == "Segmentor"
    assert config["class_names"] == {str(k): name for k, name in enumerate(NAMES)}
    assert config["resolution"] == pytest.approx(42.426)  # cm, between 30 and 60
    assert (config["seg_thresh"], config["seg_small_segment"]) == (0, 0)
    assert config["tiles_size"] == SIZE
    assert config["tiles_overlap"] == 50  # 128 pixels do not fit into tiles of 96


def test_what_deepness_asks_of_a_file(model: Path) -> None:
    """Its documented contract: one fixed square input, keys that are JSON of one type each."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    keys = {
        key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()
    }
    (image,), (scores,) = session.get_inputs(), session.get_outputs()
    assert image.shape[1:] == [3, SIZE, SIZE]
    assert scores.shape[1:] == [len(NAMES), SIZE, SIZE]
    assert image.shape[0] == scores.shape[0] == "batch"  # it feeds one tile or several
    names = keys["class_names"]
    assert [int(name) for name in names] == list(range(len(NAMES)))
    assert keys["model_type"].capitalize() == "Segmentor"
    assert int(keys["tile_size"]) == SIZE
    assert float(keys["resolution"]) > 0
    assert 0 <= int(keys["tiles_overlap"]) < 100
    assert float(keys["seg_thresh"]) == 0
    assert int(keys["seg_small_segment"]) == 0
    assert not {"standardization_mean", "standardization_std"} & set(keys)


def test_a_tile_fed_as_deepness_feeds_it(model: Path) -> None:
    """Rows, columns, bands in 8 bit, divided by 255, turned round; the best class of what comes."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    image = pixels(SIZE, SIZE)
    rows_cols_bands = np.moveaxis(image, 0, -1)
    batch = np.moveaxis(rows_cols_bands.astype("float32") / 255, -1, 0)[None]
    (scores,) = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(batch)})
    assert scores.min() >= 0
    assert scores.max() <= 1
    np.testing.assert_array_equal(scores[0].argmax(axis=0), our_classes(model, [image])[0])
