"""Initialises a narrow VGG encoder from a full-width one by channel pruning.

A compact network has fewer channels than the published encoder weights, so they cannot be copied.
Layer by layer, this keeps those channels of the full layer that best span all of them (pivoted
Cholesky factorisation of their covariance) and solves for the narrow layer's weights by least
squares, so that from the narrow network's own inputs it reproduces the kept channels
(channel pruning with reconstruction, as in He, Zhang, Sun 2017, https://arxiv.org/abs/1707.06168).
Each kept channel is scaled to unit root mean square, which ReLU and pooling carry through.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.network.scasnet import VggEncoder, convolution

SAMPLES_PER_IMAGE = 1500
RIDGE = 1e-3


def slim_vgg(
    encoder: VggEncoder,
    full: Mapping[str, list[NDArray[np.float32]]],
    images: list[tuple[Tensor, Tensor]],
    seed: int = 0,
) -> None:
    """Set the weights of ``encoder`` from the full-width weights ``full``, by layer name.

    ``images`` pairs the narrow network's input with the full network's input for the same
    scene, each [1, bands, H, W]: the two may differ in scale, order and number of bands.
    """
    generator = torch.Generator().manual_seed(seed)
    narrow_maps = [narrow for narrow, _ in images]
    full_maps = [full_input for _, full_input in images]
    with torch.no_grad():
        for name, layer in encoder.named_modules():
            layer_name = name.rsplit(".", 1)[-1]
            if isinstance(layer, nn.MaxPool2d):
                narrow_maps = [layer(features) for features in narrow_maps]
                full_maps = [layer(features) for features in full_maps]
            elif isinstance(layer, nn.Conv2d):
                published = _full_layer(layer_name, layer, full, full_maps[0].shape[1])
                targets = [published(features) for features in full_maps]
                _fit(layer, narrow_maps, targets, generator)
                narrow_maps = [functional.relu(layer(features)) for features in narrow_maps]
                full_maps = [functional.relu(target) for target in targets]


def _full_layer(
    name: str, like: nn.Conv2d, full: Mapping[str, list[NDArray[np.float32]]], inputs: int
) -> nn.Conv2d:
    """The published layer, for ``inputs`` channels and with ``like``'s kernel size and dilation."""
    if name not in full:
        text = translate(
            "ScasNet", "The Caffe file has no layer called {name}, which VGG ScasNet starts with."
        )
        raise ModelError(text, name=name)
    blobs = [torch.from_numpy(np.array(blob)) for blob in full[name]]
    if len(blobs) != 2 or blobs[0].shape[1:] != (inputs, *like.kernel_size):
        text = translate(
            "ScasNet", "The layer {name} of the Caffe file does not have the shape of VGG's."
        )
        raise ModelError(text, name=name)
    weight, bias = blobs[0], blobs[1].reshape(-1)
    if len(bias) != len(weight) or len(weight) < like.out_channels:
        text = translate(
            "ScasNet",
            "The layer {name} of the Caffe file has too few channels for a network of this width.",
        )
        raise ModelError(text, name=name)
    layer = convolution(inputs, len(weight), like.kernel_size[0], dilation=like.dilation[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _fit(
    layer: nn.Conv2d, inputs: list[Tensor], targets: list[Tensor], generator: torch.Generator
) -> None:
    patches, values = [], []
    for features, target in zip(inputs, targets):
        pixels = target.shape[-2] * target.shape[-1]
        chosen = torch.randint(pixels, (min(SAMPLES_PER_IMAGE, pixels),), generator=generator)
        columns = functional.unfold(
            features,
            layer.kernel_size[0],
            dilation=layer.dilation[0],
            padding=int(layer.padding[0]),
        )
        patches.append(columns[0][:, chosen].T.double())
        values.append(target[0].flatten(1)[:, chosen].T.double())
    design = torch.cat(patches)
    design = torch.cat([design, torch.ones(len(design), 1, dtype=torch.float64)], dim=1)
    target_values = torch.cat(values)
    kept = spanning_columns(functional.relu(target_values).numpy(), layer.out_channels)
    target_values = target_values[:, kept]
    target_values = target_values / functional.relu(target_values).pow(2).mean(
        dim=0
    ).sqrt().clamp_min(1e-6)
    gram = design.T @ design
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solution = torch.linalg.solve(gram, design.T @ target_values)
    weight = solution[:-1].T.reshape(layer.weight.shape)
    layer.load_state_dict({"weight": weight, "bias": solution[-1]})


def spanning_columns(values: NDArray[np.float64], count: int) -> list[int]:
    """Indices of the ``count`` columns of ``values`` [samples, columns] that span the rest best.

    Greedy: each step takes the column with the largest variance not yet explained. Columns are
    brought to unit variance first, so that a strong channel is not preferred for its strength.
    """
    deviations = values - values.mean(axis=0)
    scale = deviations.std(axis=0)
    deviations = np.where(scale > 0, deviations / np.maximum(scale, 1e-12), 0.0)
    covariance = deviations.T @ deviations / len(values)
    remaining = np.diag(covariance).copy()
    factors = np.zeros((len(remaining), 0))
    kept: list[int] = []
    for _ in range(min(count, len(remaining))):
        best = int(np.argmax(np.where(np.isin(np.arange(len(remaining)), kept), -1.0, remaining)))
        kept.append(best)
        column = covariance[:, best] - factors @ factors[best]
        column = column / np.sqrt(max(remaining[best], 1e-12))
        factors = np.hstack([factors, column[:, None]])
        remaining = np.maximum(remaining - column**2, 0.0)
    return kept
