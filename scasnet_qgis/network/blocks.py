"""The layers of ScasNet, under the names that its authors published them with.

Every layer of the published description, also those without weights (pooling, sum, ReLU,
resize), is a module of its own. That costs nothing, lets a test compare the graph with the
published table, and weights find their layers by name.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Callable

from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1  # PyTorch's convention; the same as 0.9 in Caffe

Unit = Callable[..., nn.Sequential]


class Sum(nn.Module):
    """Element-wise sum of two feature maps of the same shape (Caffe's ``Eltwise``)."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Interp(nn.Module):
    """Bilinear resize with aligned corners: scale = (in - 1) / (out - 1), Caffe's ``Interp``."""

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        return functional.interpolate(
            features, size=like.shape[-2:], mode="bilinear", align_corners=True
        )


def max_pool(stride: int) -> nn.MaxPool2d:
    """3 x 3 max pooling with padding 1 and the output size rounded up, as in Caffe."""
    return nn.MaxPool2d(3, stride=stride, padding=1, ceil_mode=True)


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution with padding "same": at stride 1 the size does not change."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=padding, dilation=dilation, bias=bias
    )


def plain_unit(
    name: str,
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = True,
    relu: str | None = "",
) -> nn.Sequential:
    """Convolution and ReLU, the unit of VGG ScasNet.

    ``relu`` names the ReLU: the empty string means ``<name>/relu``, None leaves it out.
    """
    layers: list[tuple[str, nn.Module]] = [
        (name, convolution(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias))
    ]
    return _with_relu(layers, name, relu)


def normalised_unit(
    name: str,
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = False,
    relu: str | None = "",
) -> nn.Sequential:
    """Convolution, batch norm and ReLU, the unit of ResNet ScasNet."""
    norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
    layers: list[tuple[str, nn.Module]] = [
        (name, convolution(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias)),
        (f"{name}/bn", norm),
    ]
    return _with_relu(layers, name, relu)


def _with_relu(layers: list[tuple[str, nn.Module]], name: str, relu: str | None) -> nn.Sequential:
    if relu is not None:
        layers.append((relu or f"{name}/relu", nn.ReLU()))
    return nn.Sequential(OrderedDict(layers))


class Merge(nn.Module):
    """Sum of two feature maps followed by ScasNet's residual correction.

    With s the sum, the correction is y = s + f(s), where f is a 1 x 1 reduction, a 3 x 3
    convolution and a 1 x 1 increase; a last 1 x 1 convolution brings y to ``outputs`` channels
    (Liu et al. 2018, section 3.3).
    """

    def __init__(
        self, unit: Unit, name: str, channels: int, inner: int, outputs: int, *, inner_name: str
    ) -> None:
        super().__init__()
        self.add_module(f"{name}_merge1", Sum())
        self.reduce = unit(f"{inner_name}_1x1_reduce", channels, inner, 1)
        self.spatial = unit(f"{inner_name}_3x3", inner, inner, 3)
        self.increase = unit(f"{inner_name}_1x1_increase", inner, channels, 1, relu=None)
        self.add_module(f"{name}_merge2", Sum())
        self.output = unit(f"{name}_merge2_reduce", channels, outputs, 1)
        self._name = name

    def forward(self, deep: Tensor, other: Tensor) -> Tensor:
        merged = getattr(self, f"{self._name}_merge1")(deep, other)
        correction = self.increase(self.spatial(self.reduce(merged)))
        return self.output(getattr(self, f"{self._name}_merge2")(merged, correction))
