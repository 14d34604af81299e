"""Published encoder weights: read from a Caffe or safetensors file, loaded into a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import ModelError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import clean_name
from scasnet_qgis.network.scasnet import ScasNet
from scasnet_qgis.training.caffe.container import CaffeFile
from scasnet_qgis.training.caffe.encoder_file import SUFFIX, read_layers, write_layers
from scasnet_qgis.training.caffe.layer_names import FIRST_CONVOLUTION, LayerMapping, match
from scasnet_qgis.training.caffe.loading import CaffeInput, load, read_arrays

Numbers = tuple[float, ...]

# Blue, green, red in 0-255: DeepLab's for VGG16, PSPNet's for ResNet-101.
PUBLISHED_MEAN: dict[str, Numbers] = {
    "vgg": (104.008, 116.669, 122.675),
    "resnet": (103.939, 116.779, 123.68),
}


@dataclass(frozen=True)
class EncoderWeights:
    """The weights of a full-width encoder by published layer name, as in Caffe.

    A convolution has its kernel, and a bias where ScasNet's has one; a batch norm has weight, bias,
    mean and variance, each [C]. The first kernel takes blue, green, red in 0-255 minus
    ``mean_bgr``, times ``scale``. ``source`` and ``sha256`` identify the file they come from.
    """

    network: str
    layers: dict[str, list[NDArray[np.float32]]]
    mean_bgr: Numbers
    scale: float = 1.0
    source: str = ""
    sha256: str = ""

    @property
    def input(self) -> CaffeInput:
        return CaffeInput(self.mean_bgr, self.scale, (2, 1, 0))

    @property
    def mean(self) -> Numbers:
        """Mean of red, green, blue in 0-1; with it a network's maps are exactly Caffe's."""
        return self.input.card_mean


def read_encoder(path: Path) -> EncoderWeights:
    """Read an encoder that ``write_encoder`` wrote or, with the published mean, a Caffe file.

    Raises ModelError where the file holds no whole encoder.
    """
    if path.suffix.lower() == SUFFIX:
        return _read_safetensors(path)
    file = CaffeFile(path)
    found = match(file.layers)
    return encoder_from_caffe(file, found, PUBLISHED_MEAN[found.config.variant])


def encoder_from_caffe(
    file: CaffeFile,
    found: LayerMapping,
    mean_bgr: Numbers,
    *,
    scale: float = 1.0,
    rgb: bool = False,
) -> EncoderWeights:
    """The encoder of a Caffe file, whose first kernel takes RGB in place of BGR with ``rgb``.

    Raises ModelError where ``check_encoder`` does.
    """
    check_encoder(file, found)
    config = found.config
    layers = {pair.home.name: read_arrays(file, pair) for pair in found.encoder_matches}
    if rgb:
        first = layers[FIRST_CONVOLUTION[config.variant]]
        first[0] = np.ascontiguousarray(first[0][:, ::-1])
    return EncoderWeights(config.variant, layers, mean_bgr, scale, file.path.name)


def check_encoder(file: CaffeFile, found: LayerMapping) -> None:
    """Raise ModelError where the file lacks layers, or is no full-width encoder of three bands."""
    config = found.config
    if found.missing_encoder_layers:
        text = translate(
            "ScasNet",
            "{path} has no complete {network} encoder: {names} are missing or have another shape.",
        )
        raise ModelError(
            text,
            path=str(file.path),
            network=config.variant,
            names=listed(found.missing_encoder_layers),
        )
    if config.width != 1.0 or config.bands != 3:
        text = translate(
            "ScasNet",
            "{path} holds an encoder of width {width:g} for {bands} bands; training can start from "
            "one of width 1 for three bands.",
        )
        raise ModelError(text, path=str(file.path), width=config.width, bands=config.bands)


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first ``most`` names, and how many more there are."""
    more = f" (+ {len(names) - most})" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def load_encoder(
    network: ScasNet, weights: EncoderWeights, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Copy the weights into the encoder of a full-width network, batch norms included.

    The network's input is (x - mean) / std of bands x in 0-1; its first three bands are red, green,
    blue, further ones start with kernels of zero. With ``weights.mean`` as the mean of the first
    three, its maps are exactly Caffe's; with another mean, all but their borders are.

    Raises SettingError where the network is another variant, narrower, or has fewer bands.
    """
    config = network.config
    if (config.variant, config.width) != (weights.network, 1.0) or config.bands < 3:
        text = translate(
            "ScasNet",
            "Published {network} weights fit a {network} network of width 1 with three or more "
            "bands, not a {variant} network of width {width:g} with {bands}: choose another "
            "network, or start from nothing.",
        )
        raise SettingError(
            text,
            network=weights.network,
            variant=config.variant,
            width=config.width,
            bands=config.bands,
        )
    load(network, weights.layers.items(), weights.input, mean, std)


def write_encoder(weights: EncoderWeights, path: Path) -> None:
    """Write the weights as safetensors; never leaves a partial file. Raises OutputError."""
    metadata = {
        "network": weights.network,
        "band_order": "bgr",
        "mean": list(weights.mean_bgr),
        "scale": weights.scale,
        "source": weights.source,
        "sha256": weights.sha256,
    }
    write_layers(path, weights.layers, metadata)


def _read_safetensors(path: Path) -> EncoderWeights:
    layers, metadata = read_layers(path)
    source, digest = clean_name(metadata.get("source")), clean_name(metadata.get("sha256"))
    return EncoderWeights(
        metadata["network"], layers, metadata["mean"], metadata["scale"], source, digest
    )
