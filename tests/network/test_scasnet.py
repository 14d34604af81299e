"""ScasNet as the plugin uses it: any image size, any bands and classes, trainable."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.network.scasnet import Merge, ScasNet, ScasNetConfig
from tests.network.interpreter import run_table
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe.published import VARIANTS, read_table

NARROW = 0.02

variants = pytest.mark.parametrize("variant", VARIANTS)


def network_of(variant: str, **settings: Any) -> ScasNet:
    torch.manual_seed(0)
    return ScasNet(ScasNetConfig(variant, **{"width": NARROW, **settings})).eval()


@variants
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 37), (2, 3), (33, 47), (64, 64)])
@torch.no_grad()
def test_scores_have_the_size_of_the_image(variant: str, rows: int, cols: int) -> None:
    scores = network_of(variant, bands=4, classes=3)(torch.rand(2, 4, rows, cols))
    assert scores.shape == (2, 3, rows, cols)
    assert torch.isfinite(scores).all()


@variants
@torch.no_grad()
def test_images_of_a_batch_do_not_touch_each_other(variant: str) -> None:
    network, images = network_of(variant), torch.rand(3, 3, 24, 40)
    together = network(images)
    alone = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5 * float(together.abs().max()))


@variants
def test_training_reaches_every_weight(variant: str) -> None:
    network = network_of(variant, width=0.05)
    randomise(network, torch.randn(1, 3, 48, 48))
    network.train()(torch.randn(2, 3, 48, 48)).square().mean().backward()
    unmoved = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert unmoved == []


@variants
@torch.no_grad()
def test_corrections_start_as_the_identity(variant: str) -> None:
    network = network_of(variant)
    merges = [*network.cascade.merges.values(), *network.refinement.merges.values()]
    assert len(merges) == {"vgg": 6, "resnet": 7}[variant]
    for merge in merges:
        assert isinstance(merge, Merge)
        features = torch.rand(1, next(merge.reduce.parameters()).shape[1], 9, 9)
        assert not merge.increase(merge.spatial(merge.reduce(features))).any()


@variants
@torch.no_grad()
def test_dropout_works_in_training_only(variant: str) -> None:
    network, image = network_of(variant), torch.rand(2, 3, 48, 48)
    assert torch.equal(network(image), network(image))
    for layer in network.modules():
        layer.train(isinstance(layer, torch.nn.Dropout))
    assert not torch.equal(network(image), network(image))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"variant": "unet"}, "'unet'.*vgg, resnet"),
        ({"bands": 0}, "one band"),
        ({"classes": 0}, "one class"),
        *(({"width": width}, "width") for width in (0.0, 4.5, float("nan"))),
    ],
)
def test_a_shape_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ScasNetConfig(**settings)


@pytest.mark.parametrize(
    ("variant", "rows", "cols"),
    [
        # At an eighth of the size, the widest view still reaches its neighbours 24 pixels away.
        ("vgg", 208, 221),
        ("vgg", 33, 50),
        ("resnet", 72, 61),
        ("resnet", 1, 9),
    ],
)
@torch.no_grad()
def test_the_network_does_what_its_table_says(variant: str, rows: int, cols: int) -> None:
    torch.manual_seed(0)
    network = ScasNet(ScasNetConfig(variant, bands=4, classes=5, width=0.05)).double()
    randomise(network, torch.randn(1, 4, 96, 96, dtype=torch.float64))
    image = torch.randn(1, 4, rows, cols, dtype=torch.float64)
    expected = run_table(read_table(variant), weights_by_name(network), image)
    largest = float(expected.abs().max())
    assert torch.allclose(network(image), expected, rtol=0.0, atol=1e-9 * largest)
