"""ScasNet, the self-cascaded convolutional neural network, in its two published forms.

Liu, Y., Fan, B., Wang, L., Bai, J., Xiang, S., Pan, C. (2018): Semantic labeling in very high
resolution images via a self-cascaded convolutional neural network. ISPRS Journal of
Photogrammetry and Remote Sensing 145, 78-95. https://arxiv.org/abs/1807.11236

Every layer of the published description, also those without weights (pooling, sum, ReLU, resize),
is a module of its own under its published name: a test compares the graph with the published
table, and weights find their layers by name.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Callable

from torch import Tensor, nn
from torch.nn import functional

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate

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


def unit(
    name: str,
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    normalised: bool,
    stride: int = 1,
    dilation: int = 1,
    bias: bool | None = None,
    relu: str | None = "",
) -> nn.Sequential:
    """Convolution, batch norm where ``normalised``, and ReLU.

    Without ``bias`` a convolution has one unless a batch norm follows. ``relu`` names the ReLU: the
    empty string means ``<name>/relu``, None leaves it out.
    """
    bias = not normalised if bias is None else bias
    layers: list[tuple[str, nn.Module]] = [
        (name, convolution(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias))
    ]
    if normalised:
        norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
        layers.append((f"{name}/bn", norm))
    if relu is not None:
        layers.append((relu or f"{name}/relu", nn.ReLU()))
    return nn.Sequential(OrderedDict(layers))


plain_unit: Unit = partial(unit, normalised=False)  # of VGG ScasNet
normalised_unit: Unit = partial(unit, normalised=True)  # of ResNet ScasNet


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


VARIANTS = ("vgg", "resnet")
NETWORK_NAMES = {"vgg": "VGG ScasNet", "resnet": "ResNet ScasNet"}  # as on a card
DILATIONS = {1: 6, 2: 12, 3: 18, 4: 24}
DROPOUT = 0.5


@dataclass(frozen=True)
class ScasNetConfig:
    """The configuration of a ScasNet.

    ``width`` multiplies every channel count of the published network (1.0); 0.25 is the compact
    network for computers without a GPU.
    """

    variant: str = "vgg"
    bands: int = 3
    classes: int = 6
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            text = translate(
                "ScasNet", "Unknown ScasNet variant '{variant}': choose one of {names}."
            )
            raise SettingError(text, variant=self.variant, names=", ".join(VARIANTS))
        if self.bands < 1 or self.classes < 1:
            raise SettingError(
                translate("ScasNet", "A network needs at least one band and one class.")
            )
        if not 0.0 < self.width <= 4.0:
            raise SettingError(
                translate("ScasNet", "The network width must be above 0 and at most 4.")
            )

    def channels(self, published: int) -> int:
        """Channel count of a layer that has ``published`` channels in the full network."""
        return max(1, round(published * self.width))


class Context(nn.Module):
    """One of the four parallel contexts: dilated 3 x 3 convolution, dropout, 1 x 1 convolution."""

    def __init__(self, unit: Unit, index: int, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.view = unit(
            f"fc6_{index}",
            inputs,
            inner,
            3,
            dilation=DILATIONS[index],
            bias=True,
            relu=f"relu6_{index}",
        )
        self.add_module(f"drop6_{index}", nn.Dropout(DROPOUT))
        self.reduce = unit(f"fc6_{index}_reduce", inner, outputs, 1)
        self._dropout = f"drop6_{index}"

    def forward(self, features: Tensor) -> Tensor:
        return self.reduce(getattr(self, self._dropout)(self.view(features)))


class SelfCascade(nn.Module):
    """Multi-scale contexts, aggregated from the largest dilation to the smallest."""

    def __init__(self, unit: Unit, inputs: int, scale: Scale) -> None:
        super().__init__()
        width, inner = scale(512), scale(128)
        self.contexts = nn.ModuleDict(
            {str(i): Context(unit, i, inputs, scale(1024), width) for i in DILATIONS}
        )
        self.merges = nn.ModuleDict(
            {
                name: Merge(unit, name, width, inner, width, inner_name=name)
                for name in ("fc6_34", "fc6_234", "fc6_1234")
            }
        )

    def forward(self, features: Tensor) -> Tensor:
        local, near, wide, widest = (self.contexts[str(i)](features) for i in DILATIONS)
        context = self.merges["fc6_34"](widest, wide)
        context = self.merges["fc6_234"](context, near)
        return self.merges["fc6_1234"](context, local)


class Refinement(nn.Module):
    """Coarse to fine: each step adds a shallower encoder layer, with residual correction.

    The last step works at a quarter of the input size, the ones before it at an eighth.
    """

    def __init__(
        self, unit: Unit, shallow: dict[str, int], scale: Scale, *, inner_suffix: str
    ) -> None:
        super().__init__()
        self.order = tuple(reversed(shallow))  # deepest first
        self.projections = nn.ModuleDict()
        self.merges = nn.ModuleDict()
        for index, name in enumerate(self.order):
            last, before_last = index == len(self.order) - 1, index == len(self.order) - 2
            width = scale(256 if last else 512)
            outputs = scale(256 if last or before_last else 512)
            self.projections[name] = unit(f"{name}_reduce", shallow[name], width, 1)
            self.merges[name] = Merge(
                unit,
                name,
                width,
                scale(64 if last else 128),
                outputs,
                inner_name=f"{name}{inner_suffix}",
            )
        self._resize = f"{self.order[-2]}_merge2_interp"
        self.add_module(self._resize, Interp())

    def forward(self, context: Tensor, shallow: dict[str, Tensor]) -> Tensor:
        refined = context
        for name in self.order:
            if name == self.order[-1]:
                refined = getattr(self, self._resize)(refined, shallow[name])
            refined = self.merges[name](refined, self.projections[name](shallow[name]))
        return refined


class Head(nn.Module):
    """3 x 3 convolution, 1 x 1 classifier, resize to the size of the image."""

    def __init__(self, unit: Unit, name: str, classes: int, scale: Scale) -> None:
        super().__init__()
        self.features = unit(name, scale(256), scale(256), 3, bias=True)
        self.conv6_funetuning_fpn = nn.Conv2d(scale(256), classes, 1)
        self.conv6_interp = Interp()

    def forward(self, refined: Tensor, image: Tensor) -> Tensor:
        return self.conv6_interp(self.conv6_funetuning_fpn(self.features(refined)), image)


class ScasNet(nn.Module):
    """Encoder, self-cascade of contexts, coarse-to-fine refinement, head.

    Input: image [N, bands, H, W] of any size. Output: class scores before the softmax,
    [N, classes, H, W].
    """

    def __init__(self, config: ScasNetConfig) -> None:
        super().__init__()
        self.config = config
        scale = config.channels
        if config.variant == "vgg":
            self.encoder: VggEncoder | ResNetEncoder = VggEncoder(config.bands, scale)
            names: tuple[str, ...] = VGG_SHALLOW
            unit, suffix, head = plain_unit, "", "conv5_4_fpnrc"
        else:
            self.encoder = ResNetEncoder(config.bands, scale)
            names = RESNET_SHALLOW
            unit, suffix, head = normalised_unit, "_merge1", "conv5_4_fpn2"
        channels = self.encoder.channels
        self.cascade = SelfCascade(unit, channels["pool5"], scale)
        self.refinement = Refinement(
            unit, {name: channels[name] for name in names}, scale, inner_suffix=suffix
        )
        self.head = Head(unit, head, config.classes, scale)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(image)
        context = self.cascade(features["pool5"])
        refined = self.refinement(context, features)
        return self.head(refined, image)


def initialise(network: nn.Module) -> None:
    """He initialisation; every residual correction starts as the identity.

    He et al. 2015, https://arxiv.org/abs/1502.01852. Without batch norm (VGG) the corrections
    would otherwise double the variance at each of the six merges.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if (
                isinstance(network, ScasNet)
                and name.endswith("_1x1_increase")
                and "encoder" not in name
            ):
                nn.init.zeros_(module.weight)


def published_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The network's layers by the name they were published under, in order of definition."""
    return {
        name.rsplit(".", 1)[-1]: module
        for name, module in network.named_modules()
        if name and not list(module.children())
    }
