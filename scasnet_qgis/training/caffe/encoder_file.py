"""Encoder weights as a safetensors file, with their input as its metadata."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scasnet_qgis.common.errors import ModelError, OutputError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.untrusted import check_regular_file, number, numbers
from scasnet_qgis.network.scasnet import VARIANTS, ScasNetConfig
from scasnet_qgis.training.caffe.layer_names import target_layers

Layers = dict[str, list[NDArray[np.float32]]]

SUFFIX = ".safetensors"
_FORMAT, _VERSION = "scasnet encoder", "1"
_CONVOLUTION, _NORM = ("weight", "bias"), ("weight", "bias", "running_mean", "running_var")


def write_layers(path: Path, layers: Layers, metadata: Mapping[str, Any]) -> None:
    """Write the arrays of each layer, and ``metadata``, whose values are stored as JSON.

    Among these are the ``network``, and ``mean`` (three numbers) and ``scale`` of its input. Never
    leaves a partial file. Raises OutputError.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {
        f"{name}.{part}": array
        for name, arrays in layers.items()
        for part, array in zip(_NORM if len(arrays) == 4 else _CONVOLUTION, arrays)
    }
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            save_file(tensors, partial, {"format": _FORMAT, "version": _VERSION, **texts})
            partial.replace(path)
    except (OSError, SafetensorError) as error:
        text = translate("ScasNet", "The encoder {path} cannot be written.")
        raise OutputError(text, str(error), path=str(path)) from error


def read_layers(path: Path) -> tuple[Layers, dict[str, Any]]:
    """Layers and metadata of a file of ``write_layers``: all layers of an encoder, in its shapes.

    Raises ModelError where the file is anything else.
    """
    from safetensors import SafetensorError, safe_open

    layers: Layers = {}
    try:
        check_regular_file(path)
        with safe_open(path, framework="numpy") as file:
            metadata = _parsed(file.metadata() or {})
            for name, home in target_layers(ScasNetConfig(metadata["network"])).items():
                if home.in_encoder:
                    parts = _NORM if home.norm else _CONVOLUTION
                    keys = [f"{name}.{part}" for part, _ in zip(parts, home.shapes)]
                    layers[name] = [_tensor(file.get_tensor(key), key) for key in keys]
                    if [array.shape for array in layers[name]] != list(home.shapes):
                        raise ValueError(f"shapes of {name}")
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        text = translate(
            "ScasNet",
            "{path} is no encoder that this plugin has imported: import the Caffe file again.",
        )
        raise ModelError(text, str(error), path=str(path)) from error
    return layers, metadata


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
