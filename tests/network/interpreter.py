"""Runs a published table as it stands, with arithmetic written out apart from the network's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tests.training.caffe.published import IMAGE, Row, extents, pooled_extent

EPSILON = 1e-5  # of a batch norm


def run_table(table: list[Row], weights: dict[str, list[Tensor]], image: Tensor) -> Tensor:
    """The scores that Caffe's rules give for ``image`` [1, bands, rows, cols].

    Maps live under the names of the table, so that layers in place replace what they are given.
    """
    heights, widths = (extents(table, extent) for extent in image.shape[-2:])
    maps = {IMAGE: image}
    for row in table:
        inputs = [maps[bottom] for bottom in row.bottoms]
        if row.type == "Interp":
            maps[row.top] = resize(inputs[0], heights[row.top], widths[row.top])
        else:
            maps[row.top] = _run(row, inputs, weights.get(row.name, []))
    return maps[table[-1].top]


def _run(row: Row, inputs: list[Tensor], blobs: list[Tensor]) -> Tensor:
    first = inputs[0]
    if row.type == "Convolution":
        assert row.stride
        assert row.pad is not None
        assert row.dilation
        assert len(blobs) == 1 + bool(row.bias)
        weight, bias = blobs[0], blobs[1] if row.bias else None
        assert tuple(weight.shape[-2:]) == (row.kernel, row.kernel)
        return functional.conv2d(
            first, weight, bias, stride=row.stride, padding=row.pad, dilation=row.dilation
        )
    if row.type == "BN":
        slope, bias, mean, variance = (blob[:, None, None] for blob in blobs)
        return (first - mean) / (variance + EPSILON).sqrt() * slope + bias
    if row.type == "Pooling":
        return max_pool(first, row)
    if row.type == "Eltwise":
        return inputs[0] + inputs[1]
    if row.type == "ReLU":
        return first.clamp_min(0.0)
    assert row.type == "Dropout"
    return first


def max_pool(features: Tensor, row: Row) -> Tensor:
    """The largest value of each window; windows reach over the border as far as Caffe's do."""
    assert row.kernel
    assert row.stride
    assert row.pad is not None
    height, width = (pooled_extent(row, extent) for extent in features.shape[-2:])
    right, below = (
        (pooled - 1) * row.stride + row.kernel - given - row.pad
        for pooled, given in ((width, features.shape[-1]), (height, features.shape[-2]))
    )
    padding = (row.pad, max(right, 0), row.pad, max(below, 0))
    padded = functional.pad(features, padding, value=float("-inf"))
    windows = padded.unfold(2, row.kernel, row.stride).unfold(3, row.kernel, row.stride)
    return windows[:, :, :height, :width].amax(dim=(-2, -1))


def resize(features: Tensor, height: int, width: int) -> Tensor:
    """Bilinear with corners aligned, as two products with matrices of weights."""
    down = _interpolation(features.shape[-2], height).to(features)
    across = _interpolation(features.shape[-1], width).to(features)
    return down @ features @ across.T


def _interpolation(given: int, wanted: int) -> Tensor:
    """Weights [wanted, given] of the given pixels in each wanted one."""
    scale = (given - 1) / (wanted - 1) if wanted > 1 else 0.0
    places = torch.arange(wanted, dtype=torch.float64) * scale
    distances = (places[:, None] - torch.arange(given, dtype=torch.float64)).abs()
    return (1.0 - distances).clamp_min(0.0)
