"""OpenCV, which reads Caffe's files on its own, gives the same scores as the network.

So does what ``importcaffe`` makes of the same files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from scasnet_qgis.common.progress import Progress
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from scasnet_qgis.training.caffe.import_job import import_task
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe.description import caffemodel, old_caffemodel, prototxt
from tests.training.caffe.published import Row, read_table, scaled

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


def random_network(variant: str, width: float, image: Tensor) -> ScasNet:
    """A network whose scores differ from pixel to pixel of such an image."""
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, BANDS, CLASSES, width))
    randomise(network, image)
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
    ("variant", "width", "rows", "cols"), [("vgg", 0.25, 207, 250), ("resnet", 0.125, 250, 207)]
)
@torch.no_grad()
def test_scores_and_labels_are_those_of_opencv(
    variant: str, width: float, rows: int, cols: int
) -> None:
    network = random_network(variant, width, torch.randn(1, BANDS, 208, 208))
    image = torch.randn(1, BANDS, rows, cols)
    table = scaled(read_table(variant), width, CLASSES)
    expected = opencv_scores(
        prototxt(table, BANDS, rows, cols),
        caffemodel(table, weights_by_name(network)),
        image.numpy(),
    )
    assert_alike(network(image).numpy(), expected)


def imported_scores(path: Path, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scores of a model file, as they are before the softmax, for an image [3, rows, cols]."""
    model = onnx.load(str(path))
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(onnx.ValueInfoProto(name=softmax.input[0]))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    scaled = image[None].astype(np.float32) / 255
    probabilities, scores = session.run(None, {"image": scaled})
    assert np.array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))
    return scores


@pytest.mark.long
@pytest.mark.parametrize(
    ("variant", "width", "rows", "cols", "scale", "write"),
    [
        # The authors' network, in the container of old files.
        ("vgg", 1.0, 226, 209, 1.0, old_caffemodel),
        ("vgg", 0.25, 97, 130, 0.017, caffemodel),
        ("resnet", 0.125, 130, 97, 1.0, caffemodel),
    ],
)
def test_an_imported_file_gives_the_scores_of_opencv(
    tmp_path: Path,
    variant: str,
    width: float,
    rows: int,
    cols: int,
    scale: float,
    write: Callable[[list[Row], dict[str, list[Tensor]]], bytes],
) -> None:
    mean = np.array([104.008, 116.669, 122.675], np.float32)[:, None, None]  # blue, green, red
    generator = np.random.default_rng(5)
    image = generator.integers(0, 256, (BANDS, rows, cols), dtype=np.uint8)
    given = ((image[::-1] - mean) * np.float32(scale))[None]
    network = random_network(variant, width, torch.from_numpy(given[..., :208, :208]))
    table = scaled(read_table(variant), width, CLASSES)
    weights = weights_by_name(network)
    source, target = tmp_path / "published.caffemodel", tmp_path / "imported.onnx"
    source.write_bytes(write(table, weights))
    request = {
        "source": str(source),
        "output": str(target),
        "scale": scale,
        "mean": mean.ravel().tolist(),
    }
    import_task(request, Progress())
    expected = opencv_scores(
        prototxt(table, BANDS, rows, cols), caffemodel(table, weights), np.ascontiguousarray(given)
    )
    assert_alike(imported_scores(target, image), expected)
