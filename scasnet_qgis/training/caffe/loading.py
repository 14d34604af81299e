"""Loads weights of a Caffe file into a network, with the input they were trained for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scasnet_qgis.common.errors import ModelError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.network.scasnet import ScasNet, published_layers
from scasnet_qgis.training.caffe.container import CaffeFile
from scasnet_qgis.training.caffe.layer_names import FIRST_CONVOLUTION, LayerMatch

Arrays = list[NDArray[np.float32]]


@dataclass(frozen=True)
class CaffeInput:
    """The input of a Caffe network: (value - ``mean``) * ``scale`` of values in 0-255.

    ``mean`` has an entry for each of its channels, ``bands`` the index of the image's band for
    each: (2, 1, 0) for blue, green, red of an image with red, green, blue.
    """

    mean: tuple[float, ...]
    scale: float
    bands: tuple[int, ...]

    @property
    def card_mean(self) -> tuple[float, ...]:
        """The mean of each band of the image, in 0-1."""
        found = dict(zip(self.bands, self.mean))
        return tuple(found[band] / 255 for band in sorted(found))


def read_arrays(file: CaffeFile, pair: LayerMatch) -> Arrays:
    """The arrays of one layer of ScasNet in its shapes; four for a batch norm.

    Caffe's BatchNorm has sums of means and variances, and in a third array their divisor. Raises
    ModelError where numbers are not finite or a variance is negative.
    """
    arrays = [array for source in pair.sources for array in file.read(source)]
    if len(pair.sources) == 2:
        mean, variance, count, slope, bias = arrays
        with np.errstate(all="ignore"):  # refused below where not finite
            factor = np.float32(1) / count.item() if count.item() else np.float32(0)
            arrays = [slope, bias, mean * factor, variance * factor]
    layer = clean_name(pair.sources[0].name)
    if not all(np.isfinite(array).all() for array in arrays):
        text = translate(
            "ScasNet", "The Caffe layer '{layer}' holds weights that are no finite numbers."
        )
        raise ModelError(text, layer=layer)
    if pair.home.norm and arrays[3].min() < 0:
        text = translate("ScasNet", "The Caffe layer '{layer}' holds a variance below 0.")
        raise ModelError(text, layer=layer)
    return [array.reshape(shape) for array, shape in zip(arrays, pair.home.shapes)]


def load(
    network: ScasNet,
    weights: Iterable[tuple[str, Arrays]],
    given: CaffeInput,
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    """Copy arrays by layer name, as of ``read_arrays``, into ``network``.

    The first convolution must be among them; ``set_first_kernel`` adapts it.
    """
    layers = published_layers(network)
    first: Arrays = []
    for name, arrays in weights:
        if name == FIRST_CONVOLUTION[network.config.variant]:
            first = arrays
            _copy([layers[name].bias], arrays[1:])
        else:
            layer = layers[name]
            targets: list[Tensor | nn.Module | None] = [layer.weight, layer.bias]
            if isinstance(layer, nn.BatchNorm2d):
                targets += [layer.running_mean, layer.running_var]
            _copy(targets, arrays)
    set_first_kernel(network, first[0], given, mean, std)


@torch.no_grad()
def _copy(targets: Iterable[Tensor | nn.Module | None], arrays: Arrays) -> None:
    for target, values in zip(targets, arrays):
        if isinstance(target, Tensor):
            target.copy_(torch.from_numpy(values))


@torch.no_grad()
def set_first_kernel(
    network: ScasNet,
    kernel: NDArray[np.float32],
    given: CaffeInput,
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    """Set the first kernel so that standardised bands give the same as Caffe's input.

    ``kernel`` [out, channels, 3, 3] is Caffe's; the network's input is (x - mean) / std of values x
    in 0-1. Band order, scale and std go into the kernel. The mean cannot: the convolution pads with
    zeros, which stand for the mean. Where ``mean`` is ``given.card_mean`` the maps are Caffe's
    everywhere; a difference goes into the bias (in ResNet, whose convolution has none, into the
    batch norm's mean), which is exact but for the border. Bands that Caffe's network did not have
    start with kernels of zero. The bias or batch norm must be set before.
    """
    wide = kernel.astype(np.float64)
    folded = np.zeros((len(wide), network.config.bands, *wide.shape[2:]))
    shift = np.zeros(len(wide))
    for channel, band in enumerate(given.bands):
        folded[:, band] = wide[:, channel] * (255 * std[band] * given.scale)
        offset = (255 * mean[band] - given.mean[channel]) * given.scale
        shift += wide[:, channel].sum(axis=(1, 2)) * offset
    layers, name = published_layers(network.encoder), FIRST_CONVOLUTION[network.config.variant]
    first, norm = layers[name], layers.get(f"{name}/bn")
    if isinstance(first, nn.Conv2d):
        first.weight.copy_(torch.from_numpy(folded))
        if first.bias is not None:
            first.bias += torch.from_numpy(shift)
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
        norm.running_mean -= torch.from_numpy(shift)
