"""Published encoder weights: read from a Caffe or safetensors file, loaded into a network."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scasnet_qgis.common.errors import ModelError, OutputError, SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import check_regular_file, clean_name, number, numbers
from scasnet_qgis.network.scasnet import VARIANTS, ScasNet, ScasNetConfig, published_layers
from scasnet_qgis.training.caffe.container import CaffeFile
from scasnet_qgis.training.caffe.layer_names import (
    FIRST_CONVOLUTION,
    LayerMapping,
    LayerMatch,
    match,
    target_layers,
)
from scasnet_qgis.training.caffe.request import ENCODER_SUFFIX

Arrays = list[NDArray[np.float32]]
Numbers = tuple[float, ...]

# Blue, green, red in 0-255: DeepLab's for VGG16, PSPNet's for ResNet-101.
PUBLISHED_MEAN: dict[str, Numbers] = {
    "vgg": (104.008, 116.669, 122.675),
    "resnet": (103.939, 116.779, 123.68),
}
_FORMAT, _VERSION = "scasnet encoder", "1"  # of the safetensors files
_CONVOLUTION, _NORM = ("weight", "bias"), ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class CaffeInput:
    """The input of a Caffe network: (value - ``mean``) * ``scale`` of values in 0-255.

    ``mean`` has an entry for each of its channels, ``bands`` the index of the image's band for
    each: (2, 1, 0) for blue, green, red of an image with red, green, blue.
    """

    mean: Numbers
    scale: float
    bands: tuple[int, ...]

    @property
    def card_mean(self) -> Numbers:
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
        text = translate("ScasNet", "The Caffe layer '{layer}' has weights that are not finite.")
        raise ModelError(text, layer=layer)
    if pair.target.norm and arrays[3].min() < 0:
        text = translate("ScasNet", "The Caffe layer '{layer}' has a negative variance.")
        raise ModelError(text, layer=layer)
    return [array.reshape(shape) for array, shape in zip(arrays, pair.target.shapes)]


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


@dataclass(frozen=True)
class EncoderWeights:
    """The weights of a full-width encoder by published layer name, as in Caffe.

    A convolution has its kernel, and a bias where ScasNet's has one; a batch norm has weight, bias,
    mean and variance, each [C]. The first kernel takes blue, green, red in 0-255 minus
    ``mean_bgr``, times ``scale``. ``source`` and ``sha256`` identify the file they come from.
    """

    network: str
    layers: dict[str, Arrays]
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
    if path.suffix.lower() == ENCODER_SUFFIX:
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
    layers = {pair.target.name: read_arrays(file, pair) for pair in found.encoder_matches}
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
            "{path} has an encoder of width {width:g} for {bands} bands; training can start from "
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
    """Write the weights as safetensors, with what is known of them as JSON in its metadata.

    Never leaves a partial file. Raises OutputError.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {
        f"{name}.{part}": array
        for name, arrays in weights.layers.items()
        for part, array in zip(_NORM if len(arrays) == 4 else _CONVOLUTION, arrays)
    }
    facts = {
        "network": weights.network,
        "band_order": "bgr",
        "mean": list(weights.mean_bgr),
        "scale": weights.scale,
        "source": weights.source,
        "sha256": weights.sha256,
    }
    metadata = {key: json.dumps(value) for key, value in facts.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            save_file(tensors, partial, {"format": _FORMAT, "version": _VERSION, **metadata})
            partial.replace(path)
    except (OSError, SafetensorError) as error:
        text = translate("ScasNet", "The encoder {path} cannot be written.")
        raise OutputError(text, str(error), path=str(path)) from error


def _read_safetensors(path: Path) -> EncoderWeights:
    """A file of ``write_encoder``: all layers of an encoder, in its shapes."""
    from safetensors import SafetensorError, safe_open

    layers: dict[str, Arrays] = {}
    try:
        check_regular_file(path)
        with safe_open(path, framework="numpy") as file:
            facts = _parsed(file.metadata() or {})
            for name, target in target_layers(ScasNetConfig(facts["network"])).items():
                if target.in_encoder:
                    parts = _NORM if target.norm else _CONVOLUTION
                    keys = [f"{name}.{part}" for part, _ in zip(parts, target.shapes)]
                    layers[name] = [_tensor(file.get_tensor(key), key) for key in keys]
                    if [array.shape for array in layers[name]] != list(target.shapes):
                        raise ValueError(f"shapes of {name}")
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        text = translate(
            "ScasNet",
            "{path} is not an encoder that this plugin imported: import the Caffe file again.",
        )
        raise ModelError(text, str(error), path=str(path)) from error
    source, digest = clean_name(facts.get("source")), clean_name(facts.get("sha256"))
    return EncoderWeights(facts["network"], layers, facts["mean"], facts["scale"], source, digest)


def _parsed(metadata: Mapping[str, str]) -> dict[str, Any]:
    texts = dict(metadata)
    if (texts.pop("format", None), texts.pop("version", None)) != (_FORMAT, _VERSION):
        raise ValueError(f"metadata: {sorted(metadata)}")
    values = {key: json.loads(text) for key, text in texts.items()}
    if values.get("network") not in VARIANTS:
        raise ValueError("no known network")
    mean = numbers(values.get("mean"), 3, -1e4, 1e4)
    scale = number(values.get("scale"), 1e-6, 1e6)
    if mean is None or scale is None:
        raise ValueError("mean or scale")
    return {**values, "mean": mean, "scale": scale}


def _tensor(values: NDArray[np.float32], key: str) -> NDArray[np.float32]:
    if values.dtype != np.float32 or not np.isfinite(values).all():
        raise ValueError(f"numbers of {key}")
    return values
