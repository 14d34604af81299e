"""Random weights under which every layer of a network shows in its scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scasnet_qgis.network.scasnet import published_layers


def randomise(network: nn.Module, image: Tensor, seed: int = 0) -> None:
    """Random weights, biases and statistics that keep maps at about unit variance on ``image``.

    Otherwise the corrections would stay at zero, and after so many ReLUs all pixels would have
    the same scores. Most of a map is above zero, so that rounding does not grow from ReLU to ReLU.
    """
    generator = torch.Generator().manual_seed(seed)

    def shifts(count: int) -> Tensor:
        return 0.8 + 0.3 * torch.randn(count, generator=generator)

    def spread_convolution(layer: nn.Conv2d, _inputs: tuple[Tensor], out: Tensor) -> Tensor:
        variance, mean = torch.var_mean(out, dim=(0, 2, 3), unbiased=False)
        scale = variance.clamp_min(1e-6).rsqrt()
        layer.weight.mul_(scale[:, None, None, None])
        out = out * scale[:, None, None]
        if layer.bias is None:
            return out
        layer.bias.copy_(shifts(len(mean)) - mean * scale)
        return out + layer.bias[:, None, None]

    def spread_norm(layer: nn.BatchNorm2d, inputs: tuple[Tensor], _out: Tensor) -> Tensor:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
        count = len(mean)
        layer.running_mean = mean + 0.2 * torch.randn(count, generator=generator)
        layer.running_var = variance * (0.7 + 0.7 * torch.rand(count, generator=generator))
        layer.weight.copy_(0.6 + 0.8 * torch.rand(count, generator=generator))
        layer.bias.copy_(shifts(count))
        return nn.functional.batch_norm(
            inputs[0],
            layer.running_mean,
            layer.running_var,
            layer.weight,
            layer.bias,
            eps=layer.eps,
        )

    hooks = []
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.normal_(generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
                hooks.append(layer.register_forward_hook(spread_convolution))
            elif isinstance(layer, nn.BatchNorm2d):
                hooks.append(layer.register_forward_hook(spread_norm))
        network.eval()(image)
    for hook in hooks:
        hook.remove()


def weights_by_name(network: nn.Module) -> dict[str, list[Tensor]]:
    """The blobs of each layer as Caffe has them: a batch norm's are slope, bias, mean, variance."""
    found = {}
    for name, layer in published_layers(network).items():
        if isinstance(layer, nn.Conv2d):
            blobs = [layer.weight, layer.bias]
        elif isinstance(layer, nn.BatchNorm2d):
            blobs = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        else:
            continue
        found[name] = [blob.detach() for blob in blobs if blob is not None]
    return found
