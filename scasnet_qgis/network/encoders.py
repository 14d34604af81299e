"""The two encoders of ScasNet, both with output stride 8."""

from __future__ import annotations

from collections import OrderedDict
from typing import Callable

from torch import Tensor, nn

from scasnet_qgis.network.blocks import Sum, max_pool, normalised_unit, plain_unit

Scale = Callable[[int], int]

VGG_SHALLOW = ("conv3_3", "conv4_3", "conv5_3")
RESNET_SHALLOW = ("conv2_3", "conv3_4", "conv4_23", "conv5_3")

# (convolutions of the block, channels, dilation, stride of the pooling after the block)
_VGG_BLOCKS = ((2, 64, 1, 2), (2, 128, 1, 2), (3, 256, 1, 2), (3, 512, 1, 1), (3, 512, 2, 1))
# (blocks, inner channels, outer channels, stride of the first block, dilation)
_RESNET_STAGES = (
    (3, 64, 256, 1, 1),
    (4, 128, 512, 2, 1),
    (23, 256, 1024, 1, 2),
    (3, 512, 2048, 1, 4),
)


class VggEncoder(nn.Module):
    """VGG16 with the last two poolings at stride 1 and conv5 dilated by 2, without batch norm.

    Input [N, bands, H, W]; output: feature maps by published name, the deepest as ``pool5``.
    """

    def __init__(self, bands: int, scale: Scale) -> None:
        super().__init__()
        self.channels: dict[str, int] = {}
        channels = bands
        for block, (count, published, dilation, stride) in enumerate(_VGG_BLOCKS, start=1):
            layers = OrderedDict[str, nn.Module]()
            for index in range(1, count + 1):
                outputs = scale(published)
                step = f"{block}_{index}"
                layers[step] = plain_unit(
                    f"conv{step}", channels, outputs, 3, dilation=dilation, relu=f"relu{step}"
                )
                channels = outputs
            self.channels[f"conv{block}_{count}"] = channels
            self.add_module(f"block{block}", nn.Sequential(layers))
            self.add_module(f"pool{block}", max_pool(stride))
        self.channels["pool5"] = channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        features = image
        for block, (count, *_) in enumerate(_VGG_BLOCKS, start=1):
            features = getattr(self, f"block{block}")(features)
            maps[f"conv{block}_{count}"] = features
            features = getattr(self, f"pool{block}")(features)
        maps["pool5"] = features
        return maps


class Bottleneck(nn.Module):
    """ResNet's bottleneck: 1 x 1 reduce, 3 x 3, 1 x 1 increase, added to its (projected) input."""

    def __init__(
        self, name: str, inputs: int, inner: int, outputs: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        self._name = name
        self.reduce = normalised_unit(f"{name}_1x1_reduce", inputs, inner, 1)
        self.spatial = normalised_unit(
            f"{name}_3x3", inner, inner, 3, stride=stride, dilation=dilation
        )
        self.increase = normalised_unit(f"{name}_1x1_increase", inner, outputs, 1, relu=None)
        self.project: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.project = normalised_unit(
                f"{name}_1x1_proj", inputs, outputs, 1, stride=stride, relu=None
            )
        self.add_module(name, Sum())
        self.add_module(f"{name}/relu", nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        correction = self.increase(self.spatial(self.reduce(features)))
        shortcut = features if self.project is None else self.project(features)
        return getattr(self, f"{self._name}/relu")(getattr(self, self._name)(shortcut, correction))


class ResNetEncoder(nn.Module):
    """ResNet-101 in the PSPNet form: three 3 x 3 convolutions as stem, stages 4 and 5 dilated.

    Input [N, bands, H, W]; output: feature maps by published name, the deepest as ``pool5``.
    """

    def __init__(self, bands: int, scale: Scale) -> None:
        super().__init__()
        narrow, wide = scale(64), scale(128)
        self.stem = nn.Sequential(
            normalised_unit("conv1_1_3x3_s2", bands, narrow, 3, stride=2),
            normalised_unit("conv1_2_3x3", narrow, narrow, 3),
            normalised_unit("conv1_3_3x3", narrow, wide, 3),
        )
        self.pool1_3x3_s2 = max_pool(2)
        self.channels: dict[str, int] = {}
        channels = wide
        for stage, (blocks, inner, outer, stride, dilation) in enumerate(_RESNET_STAGES, start=2):
            units = []
            for block in range(1, blocks + 1):
                name = f"conv{stage}_{block}"
                first = stride if block == 1 else 1
                units.append(
                    Bottleneck(name, channels, scale(inner), scale(outer), first, dilation)
                )
                channels = scale(outer)
            self.channels[f"conv{stage}_{blocks}"] = channels
            self.add_module(f"stage{stage}", nn.Sequential(*units))
        self.pool5 = max_pool(1)
        self.channels["pool5"] = channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        features = self.pool1_3x3_s2(self.stem(image))
        for stage, (blocks, *_) in enumerate(_RESNET_STAGES, start=2):
            features = getattr(self, f"stage{stage}")(features)
            maps[f"conv{stage}_{blocks}"] = features
        maps["pool5"] = self.pool5(features)
        return maps
