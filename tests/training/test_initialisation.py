"""What a training starts from: every weight arrives where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scasnet_qgis import paths
from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.model_card import ModelCard, ModelClass
from scasnet_qgis.network.onnx_export import export
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig, published_layers
from scasnet_qgis.training.caffe.weights import EncoderWeights
from scasnet_qgis.training.checkpoint import Checkpoint, checkpoint_folder
from scasnet_qgis.training.data.normalisation import Normalisation
from scasnet_qgis.training.data.scenes import IGNORE, Scene
from scasnet_qgis.training.initialisation import (
    WINDOW,
    WINDOWS,
    Trained,
    image_pairs,
    read_checkpoint,
    read_model,
    take_over,
)
from tests.models.tiny_models import pixelwise

NORMALISATION = Normalisation((0.0, 100.0), (0.2, 0.4, 0.6, 0.8), (0.5, 0.5, 0.5, 0.5))


@pytest.fixture
def weights() -> EncoderWeights:
    return EncoderWeights("vgg", {}, mean_bgr=(10.0, 20.0, 30.0), scale=2.0)


def a_scene(rows: int, cols: int, valid: np.ndarray, nodata: float) -> Scene:
    pixels = np.random.default_rng(1).uniform(0, 100, (4, rows, cols)).astype(np.float32)
    pixels[:, ~valid] = nodata
    return Scene("a", pixels, np.full((rows, cols), IGNORE, np.uint8), valid)


def test_pixels_without_data_hold_the_mean_in_both(weights) -> None:
    valid = np.ones((40, 30), dtype=np.bool_)
    valid[:, :10] = False
    pairs = image_pairs([a_scene(40, 30, valid, -9999.0)], weights, NORMALISATION, 1)
    assert len(pairs) == WINDOWS
    for narrow, published in pairs:
        assert (narrow.shape, published.shape) == ((1, 4, 40, 30), (1, 3, 40, 30))
        assert torch.allclose(narrow[..., :10], torch.zeros(()), atol=1e-6)
        for band, wanted in enumerate([2 * (153 - 10), 2 * (102 - 20), 2 * (51 - 30)]):
            assert torch.allclose(published[0, band, :, :10], torch.tensor(float(wanted)))
        assert narrow[..., 10:].std() > 0.1


def test_windows_lie_where_there_are_data(weights) -> None:
    """Half of the scene is empty, and so would be a third of the windows drawn blindly."""
    valid = np.zeros((4 * WINDOW, WINDOW + 1), dtype=np.bool_)
    valid[: 2 * WINDOW] = True
    pairs = image_pairs([a_scene(*valid.shape, valid, np.nan)], weights, NORMALISATION, 1)
    empty = [bool((narrow == 0).all()) for narrow, _ in pairs]
    assert not any(empty)
    assert all(bool(narrow.isfinite().all()) for narrow, _ in pairs)


NAMES = ("water", "forest")


def _network(variant: str, bands: int = 3, classes: int = 2) -> ScasNet:
    torch.manual_seed(4)
    network = ScasNet(ScasNetConfig(variant, bands, classes, 0.0625))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            # What a network that learned has: no bias, shift or residual is exactly 0.
            if value.dtype.is_floating_point and "running_var" not in name:
                value += 0.01 * torch.randn(value.shape)
    return network.eval()


def _exported(network: ScasNet, path: Path) -> Path:
    variant = network.config.variant
    card = ModelCard(
        "a model",
        tuple(ModelClass(name, "#112233") for name in NAMES),
        network={"vgg": "VGG ScasNet", "resnet": "ResNet ScasNet"}[variant],
        width=network.config.width,
    )
    export(network, card, path, sample=torch.rand(1, 3, 70, 60))
    return path


@pytest.mark.parametrize("variant", ["vgg", "resnet"])
def test_a_model_file_gives_its_weights_back(tmp_path, variant):
    network = _network(variant)
    trained = read_model(_exported(network, tmp_path / "m.onnx"))
    assert trained.network == network.config
    assert (trained.bands, trained.classes) == (("red", "green", "blue"), NAMES)
    again = _network(variant)
    assert take_over(again, list(trained.bands), list(trained.classes), trained) == []
    image = torch.randn(1, 3, 80, 72)
    with torch.inference_mode():
        wanted, found = network(image), again.eval()(image)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_the_shipped_model_can_be_started_from():
    trained = read_model(paths.default_model())
    assert trained.network == ScasNetConfig("vgg", 3, 5, 0.25)
    assert trained.classes == ("building", "land", "road", "vegetation", "water")
    assert all(
        tensor.abs().sum() > 0 for name, tensor in trained.weights.items() if "weight" in name
    )


def test_a_model_of_another_program_is_refused(tmp_path):
    other = pixelwise(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"other\.onnx"):
        read_model(other)


def test_classes_and_bands_of_the_same_name_keep_their_weights():
    start = _network("vgg", bands=3, classes=2)
    weights = {key: tensor.clone() for key, tensor in start.state_dict().items()}
    trained = Trained(start.config, weights, ("red", "green", "blue"), NAMES)
    network = _network("vgg", bands=4, classes=3)
    bands, classes = ["nir", "red", "green", "blue"], ["forest", "road", "water"]
    assert take_over(network, bands, classes, trained) == ["road"]
    own, key = network.state_dict(), "head.conv6_funetuning_fpn.weight"
    assert torch.equal(own[key][0], weights[key][1])
    assert torch.equal(own[key][2], weights[key][0])
    first = "encoder.block1.1_1.conv1_1.weight"
    assert torch.allclose(own[first][:, 1:], weights[first] * 0.75)
    assert torch.allclose(own[first][:, 0], weights[first].mean(dim=1) * 0.75)
    # An image whose bands are all alike looks the same to both.
    grey = torch.rand(1, 1, 40, 40)
    new, old = (published_layers(model)["conv1_1"] for model in (network, start))
    assert torch.allclose(new(grey.expand(1, 4, 40, 40)), old(grey.expand(1, 3, 40, 40)), atol=1e-4)


def test_the_files_of_a_checkpoint_lead_to_it(tmp_path):
    network = _network("vgg")
    tensors = {f"model.{key}": tensor for key, tensor in network.state_dict().items()}
    state = {"network": vars(network.config), "bands": ["a", "b", "c"], "classes": list(NAMES)}
    best = tmp_path / "m_training" / "best"
    Checkpoint(tensors, state).save(best)
    for path in (best, best / "state.json", best / "tensors.safetensors", tmp_path / "m_training"):
        assert checkpoint_folder(path) == best
    assert checkpoint_folder(tmp_path) is None
    trained = read_checkpoint(best)
    assert trained.classes == NAMES
    assert torch.equal(
        trained.weights["head.conv6_funetuning_fpn.bias"], network.head.conv6_funetuning_fpn.bias
    )
