"""OpenCV, which reads Caffe's files on its own, gives the same scores as the network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scasnet_qgis.network.caffe import read_caffemodel
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig

from .caffe_description import caffemodel, prototxt
from .published import read_table, scaled
from .weights import randomise, weights_by_name

BANDS, CLASSES = 3, 6
TOLERANCE = 1e-4  # largest difference, as a share of the largest score
TIE = 1e-5  # two scores closer than this share of the largest are alike up to rounding


def opencv_scores(
    description: str, weights: bytes, image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scores [1, classes, rows, cols] of OpenCV's Caffe reader."""
    files = (np.frombuffer(file, np.uint8) for file in (description.encode(), weights))
    network = cv2.dnn.readNetFromCaffe(*files)
    network.enableWinograd(False)  # a shortcut that rounds ten times as much
    network.setInput(image)
    return network.forward()


def random_network(variant: str, width: float) -> ScasNet:
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, BANDS, CLASSES, width))
    randomise(network, torch.randn(1, BANDS, 208, 208))
    return network


def assert_alike(scores: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """The same scores, and the same label for every pixel that is no tie."""
    assert scores.shape == expected.shape
    largest = np.abs(expected).max()
    assert np.abs(scores - expected).max() <= TOLERANCE * largest
    ranked = np.sort(expected, axis=1)
    decided = ranked[:, -1] - ranked[:, -2] > TIE * largest
    labels = expected.argmax(axis=1)
    assert (np.bincount(labels.ravel(), minlength=CLASSES) > 0.01 * labels.size).all()
    assert decided.mean() > 0.999
    assert np.array_equal(scores.argmax(axis=1)[decided], labels[decided])


@pytest.mark.parametrize(
    ("variant", "width", "rows", "cols"),
    [("vgg", 1.0, 400, 400), ("vgg", 0.25, 207, 250), ("resnet", 0.125, 250, 207)],
)
@torch.no_grad()
def test_scores_and_labels_are_those_of_opencv(
    variant: str, width: float, rows: int, cols: int
) -> None:
    network = random_network(variant, width)
    image = torch.randn(1, BANDS, rows, cols)
    table = scaled(read_table(variant), width, CLASSES)
    expected = opencv_scores(
        prototxt(table, BANDS, rows, cols),
        caffemodel(table, weights_by_name(network)),
        image.numpy(),
    )
    assert_alike(network(image).numpy(), expected)


def test_the_file_opencv_reads_is_read_the_same_by_us(tmp_path: Path) -> None:
    network = random_network("vgg", 0.05)
    weights = weights_by_name(network)
    path = tmp_path / "scasnet.caffemodel"
    path.write_bytes(caffemodel(read_table("vgg"), weights))
    found = read_caffemodel(path)
    assert list(found) == [row.name for row in read_table("vgg") if row.type == "Convolution"]
    for name, blobs in weights.items():
        assert all(np.array_equal(*pair) for pair in zip(found[name], blobs))
        assert [blob.shape for blob in found[name]] == [tuple(blob.shape) for blob in blobs]
