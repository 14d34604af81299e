"""The network gives what its table gives when that is run layer by layer."""

from __future__ import annotations

import pytest
import torch

from scasnet_qgis.network.scasnet import ScasNet, ScasNetConfig
from tests.network.interpreter import run_table
from tests.network.weights import randomise, weights_by_name
from tests.training.caffe.published import read_table


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
