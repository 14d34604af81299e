"""Exported files against PyTorch, and what is written when they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from scasnet_qgis.common.errors import ModelError, OutputError
from scasnet_qgis.common.model_card import ModelCard, ModelClass, default_color, to_metadata
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.network import onnx_export as export_module
from scasnet_qgis.network.onnx_export import TOLERANCE, export
from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from tests.network.weights import randomise
from tests.training.caffe.published import VARIANTS

CLASSES = 5
SIZES = [
    (1, 400, 400), (1, 401, 399), (3, 33, 47), (1, 1, 1), (1, 1, 60), (2, 60, 1),
    (1, 2, 3), (1, 700, 512),
]  # fmt: skip

variants = pytest.mark.parametrize("variant", VARIANTS)


def picture(count: int, rows: int, cols: int, bands: int = 3) -> Tensor:
    """Smooth shapes with some grain in 0-1, as photographs have them."""
    generator = torch.Generator().manual_seed(rows * cols + count)
    shape = (count, bands, max(rows // 12, 2), max(cols // 12, 2))
    coarse = torch.rand(shape, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (rows, cols), mode="bicubic")
    grain = torch.randn(smooth.shape, generator=generator) * 0.02
    return (smooth + grain).clamp(0, 1)


def a_network(variant: str, bands: int = 3) -> ScasNet:
    """A narrow network whose scores differ from pixel to pixel but are not extreme."""
    network = ScasNet(ScasNetConfig(variant, bands, CLASSES, 0.05))
    randomise(network, picture(2, 97, 131, bands))
    return network


def a_card(bands: int = 3) -> ModelCard:
    names = ("red", "green", "blue", "nir")[:bands]
    return ModelCard(
        name="test",
        classes=tuple(ModelClass(f"kind {k}", default_color(k)) for k in range(CLASSES)),
        bands=names,
        mean=(0.4, 0.5, 0.6, 0.3)[:bands],
        std=(0.9, 1.0, 1.1, 0.8)[:bands],
        resolution=(0.3, 0.6),
    )


def probabilities(network: ScasNet, card: ModelCard, image: Tensor) -> np.ndarray:
    """PyTorch's own, by another way than the exporter's module."""
    mean = np.array(card.mean, dtype=np.float32)[:, None, None]
    scaled = (image.numpy() - mean) / np.array(card.std, dtype=np.float32)[:, None, None]
    with torch.no_grad():
        scores = network.eval()(torch.from_numpy(scaled)).double()
    return torch.softmax(scores, dim=1).numpy()


def run(path: Path, image: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"image": image.numpy()})[0]


@variants
def test_any_size_gives_what_pytorch_gives(tmp_path: Path, variant: str) -> None:
    network, card, path = a_network(variant), a_card(), tmp_path / "m.onnx"
    assert export(network, card, path, sample=picture(2, 210, 190)) <= TOLERANCE
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for size in SIZES:
        image = picture(*size)
        found = session.run(None, {"image": image.numpy()})[0]
        wanted = probabilities(network, card, image)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= TOLERANCE, size
        if min(size[1:]) > 100:  # a map of one class would compare well whatever the weights
            assert len(np.unique(wanted.argmax(axis=1))) >= 3


def test_four_bands_and_what_the_file_states(tmp_path: Path) -> None:
    network, card, path = a_network("vgg", 4), a_card(4), tmp_path / "m.onnx"
    export(network, card, path, sample=picture(1, 80, 70, 4))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 4, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", CLASSES, "height", "width"]
    info = inspect(path)
    assert (info.bands, info.classes, info.margin, info.fixed_size) == (4, CLASSES, 0, None)
    assert info.card == card
    found = {prop.key: prop.value for prop in onnx.load(str(path)).metadata_props}
    assert found == to_metadata(card)


def test_the_network_itself_stays_as_it_was(tmp_path: Path) -> None:
    network = a_network("resnet").train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    export(network, a_card(), tmp_path / "m.onnx", sample=picture(1, 60, 60))
    assert network.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    network, sample = a_network("vgg"), picture(1, 60, 60)
    paths = [tmp_path / "a.onnx", tmp_path / "another folder" / "b.onnx"]
    for path in paths:
        export(network, a_card(), path, sample=sample)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert str(tmp_path).encode() not in paths[0].read_bytes()
    assert b"/scasnet_qgis/" not in paths[0].read_bytes()


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter is made to leave out the second class's bias."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the former model")
    original = export_module._traced

    def wrong(graph: Any) -> bytes:
        model = onnx.load_model_from_string(original(graph))
        for initializer in model.graph.initializer:
            if initializer.name.endswith("conv6_funetuning_fpn.bias"):
                values = onnx.numpy_helper.to_array(initializer).copy()
                values[1] += 0.01
                initializer.CopyFrom(onnx.numpy_helper.from_array(values, initializer.name))
                return model.SerializeToString()
        pytest.fail("the classifier's bias was not found")

    monkeypatch.setattr(export_module, "_traced", wrong)
    with pytest.raises(ModelError, match=f"{TOLERANCE:.0e}"):
        export(a_network("vgg"), a_card(), path, sample=picture(1, 60, 60))
    assert path.read_bytes() == b"the former model"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = a_network("vgg")
    with torch.no_grad():
        next(network.parameters())[0] = float("nan")
    with pytest.raises(ModelError, match=r"\bnan\b"):
        export(network, a_card(), tmp_path / "m.onnx", sample=picture(1, 60, 60))
    assert not list(tmp_path.iterdir())


def test_a_card_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"4 bands.*\b{CLASSES}\b.*\b3\b"):
        export(a_network("vgg"), a_card(4), tmp_path / "m.onnx", sample=picture(1, 60, 60))
    with pytest.raises(ModelError, match="0 to 1"):
        export(a_network("vgg"), a_card(), tmp_path / "m.onnx", sample=picture(1, 60, 60) * 255)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"file\b"):
        export(a_network("vgg"), a_card(), tmp_path / "file" / "m.onnx", sample=picture(1, 60, 60))
