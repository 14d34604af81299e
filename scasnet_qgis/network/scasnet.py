"""ScasNet, the self-cascaded convolutional neural network, in its two published forms.

Liu, Y., Fan, B., Wang, L., Bai, J., Xiang, S., Pan, C. (2018): Semantic labeling in very high
resolution images via a self-cascaded convolutional neural network. ISPRS Journal of
Photogrammetry and Remote Sensing 145, 78-95. https://arxiv.org/abs/1807.11236
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.network.blocks import Interp, Merge, Unit, normalised_unit, plain_unit
from scasnet_qgis.network.encoders import (
    RESNET_SHALLOW,
    VGG_SHALLOW,
    ResNetEncoder,
    Scale,
    VggEncoder,
)

VARIANTS = ("vgg", "resnet")
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
                "ScasNet", "There is no ScasNet called '{variant}': choose one of {names}."
            )
            raise SettingError(text, variant=self.variant, names=", ".join(VARIANTS))
        if self.bands < 1 or self.classes < 1:
            raise SettingError(
                translate("ScasNet", "A network needs at least one band and one class.")
            )
        if not 0.0 < self.width <= 4.0:
            raise SettingError(
                translate("ScasNet", "The width of a network must lie above 0 and at most at 4.")
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
