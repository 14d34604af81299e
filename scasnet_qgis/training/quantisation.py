"""A graph whose convolutions compute in 8 bit, calibrated on real tiles."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.training.bias_correction import correct_biases

# A convolution and its activation become one step, so that the 8 bits span what the activation
# lets through; without this the labels that agree with fp32 fell from 98.7 % to 39 %.
_OPERATORS = ["Conv", "Relu", "Clip"]
_FEW = 4  # convolutions; a network of fewer has no inner ones worth the name


class _Tiles(CalibrationDataReader):
    def __init__(self, tiles: Iterable[NDArray[np.float32]], input_name: str) -> None:
        self._tiles: Iterator[NDArray[np.float32]] = iter(tiles)
        self._input_name = input_name

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tile = next(self._tiles, None)
        return None if tile is None else {self._input_name: tile}


def to_int8(model: ModelProto, tiles: Iterable[NDArray[np.float32]], input_name: str) -> ModelProto:
    """``model`` with its inner convolutions in 8 bit; ``tiles`` is gone through twice.

    Activations are unsigned and have one scale, weights are signed and have one for each output
    channel. The weights use 7 bits: two products of 8 x 8 bits do not fit into the 16 bits in
    which a processor with AVX2 but without VNNI adds them, and 3.7 % of the labels were wrong on
    such a one. The first convolution sees the image and the last one gives the class scores: both
    stay in single precision. Ranges are smallest and largest values, which need no histograms in
    memory and were as good.
    """
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    if not names:
        raise ModelError(
            translate("ScasNet", "The model has no convolutions, which int8 is for: choose fp16.")
        )
    spared = [names[0], names[-1]] if len(names) >= _FEW else []
    with tempfile.TemporaryDirectory(prefix="scasnet-int8-") as folder:
        # It leaves a file beside the one it reads, hence a folder of its own.
        before, after = Path(folder) / "single.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(before))
        settings: dict[str, Any] = {
            "quant_format": QuantFormat.QDQ,
            "op_types_to_quantize": _OPERATORS,
            "activation_type": QuantType.QUInt8,
            "weight_type": QuantType.QInt8,
            "per_channel": True,
            "reduce_range": True,
            "nodes_to_exclude": spared,
            "calibrate_method": CalibrationMethod.MinMax,
        }
        quantize_static(str(before), str(after), _Tiles(tiles, input_name), **settings)
        quantised = onnx.load(str(after))
    correct_biases(quantised, model, tiles, input_name)
    return quantised
