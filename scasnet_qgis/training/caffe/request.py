"""What is to be imported from a Caffe file; known to QGIS and to the process that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.common.errors import OutputError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import Choice, Number, Text, check_limits, option

ENCODER_SUFFIX, MODEL_SUFFIX = ".safetensors", ".onnx"
AUTO, BGR, RGB = "auto", "bgr", "rgb"


def _entries(given: str) -> tuple[str, ...]:
    """What stands between semicolons."""
    return tuple(entry.strip() for entry in given.split(";")) if given.strip() else ()


def _numbers(given: str) -> tuple[float, ...]:
    """Numbers with commas, semicolons or spaces between them; raises SettingError."""
    words = given.replace(",", " ").replace(";", " ").split()
    try:
        return tuple(map(float, words))
    except ValueError as error:
        raise SettingError(
            translate("ScasNet", 'The mean must be numbers, as in "104.008, 116.669, 122.675".')
        ) from error


@dataclass(frozen=True)
class CaffeImport:
    """What is imported and how.

    ``mean`` is in the order of the file's bands, in 0-255; none stands for the published one.
    ``class_names`` and ``class_colors`` may be empty. ``output`` ends in .safetensors for the
    encoder and in .onnx for all of ScasNet.
    """

    source: Path
    output: Path
    network: str = option(
        AUTO,
        "NETWORK",
        translate("ScasNet", "Network"),
        translate(
            "ScasNet",
            "The network that the weights are for: vgg, resnet, or auto to find it from the names "
            "of the layers.",
        ),
        Choice((AUTO, "vgg", "resnet")),
    )
    class_names: tuple[str, ...] = option(
        (),
        "CLASS_NAMES",
        translate("ScasNet", "Class names"),
        translate(
            "ScasNet",
            'For a complete model: the names of its classes in order, as in "road; building; '
            'tree". A Caffe file does not hold them; without names they are numbered.',
        ),
        Text(),
        parse=_entries,
    )
    class_colors: tuple[str, ...] = option(
        (),
        "CLASS_COLORS",
        translate("ScasNet", "Class colours"),
        translate(
            "ScasNet",
            'For a complete model: one colour for each class, as in "#ffffff; #0000ff; #00ff00".',
        ),
        Text(),
        advanced=True,
        parse=_entries,
    )
    mean: tuple[float, ...] = option(
        (),
        "MEAN",
        translate("ScasNet", "Band means"),
        translate(
            "ScasNet",
            "What the network expects to be subtracted from each band, from 0 to 255, in the order "
            "of its bands. Leave it empty for the values of DeepLab (VGG: 104.008, 116.669, "
            "122.675) and PSPNet (ResNet: 103.939, 116.779, 123.68).",
        ),
        Text(),
        advanced=True,
        parse=_numbers,
    )
    scale: float = option(
        1.0,
        "SCALE",
        translate("ScasNet", "Scale factor"),
        translate(
            "ScasNet",
            "What the network expects the values to be multiplied with after the mean is "
            "subtracted: 1 for the published networks, which take values up to 255.",
        ),
        Number(1e-6, 1e6),
        advanced=True,
    )
    band_order: str = option(
        BGR,
        "BAND_ORDER",
        translate("ScasNet", "Band order"),
        translate(
            "ScasNet",
            "The order of the network's bands: bgr (blue, green, red), as Caffe networks are "
            "published, or rgb.",
        ),
        Choice((BGR, RGB)),
        advanced=True,
    )

    def __post_init__(self) -> None:
        if self.output.suffix.lower() not in (ENCODER_SUFFIX, MODEL_SUFFIX):
            text = translate(
                "ScasNet",
                "The output must end in .safetensors (the encoder, to start a training from) or in "
                ".onnx (a complete model).",
            )
            raise OutputError(text)
        check_limits(self)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> CaffeImport:
        """From the JSON values of ``request``; raises SettingError or OutputError."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in request.items()
        }
        source, output = Path(values.pop("source")), Path(values.pop("output"))
        return cls(source, output, **values)

    @property
    def rgb(self) -> bool:
        """Whether the file's network takes red before blue."""
        return self.band_order == RGB

    @property
    def whole(self) -> bool:
        """Whether all of ScasNet is wanted, and not only its encoder."""
        return self.output.suffix.lower() == MODEL_SUFFIX
