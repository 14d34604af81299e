"""What is to be imported from a Caffe file; known to QGIS and to the process that does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.core.errors import OutputError, SettingError
from scasnet_qgis.core.messages import translate

ENCODER_SUFFIX, MODEL_SUFFIX = ".safetensors", ".onnx"


@dataclass(frozen=True)
class CaffeImport:
    """What is imported and how.

    ``mean`` is in the order of the file's bands, in 0-255; None stands for the published one.
    ``rgb`` tells that the file's network takes red before blue. ``classes`` and ``colors`` may be
    empty. ``output`` ends in .safetensors for the encoder and in .onnx for all of ScasNet.
    """

    source: Path
    output: Path
    network: str | None = None
    mean: tuple[float, ...] | None = None
    scale: float = 1.0
    rgb: bool = False
    classes: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: dict[str, Any]) -> CaffeImport:
        """From the values of a request; raises SettingError or OutputError."""
        mean, network = request.get("mean"), request.get("network")
        job = cls(
            Path(request["input"]),
            Path(request["output"]),
            None if network in (None, "auto") else str(network),
            tuple(float(each) for each in mean) if mean else None,
            float(request.get("scale", 1.0)),
            request.get("band_order") == "rgb",
            tuple(request.get("class_names", ())),
            tuple(request.get("class_colors", ())),
        )
        if job.output.suffix.lower() not in (ENCODER_SUFFIX, MODEL_SUFFIX):
            raise OutputError(
                translate(
                    "ScasNet",
                    "The output must end in .safetensors (the encoder, to start a training from) "
                    "or in .onnx (a complete model).",
                )
            )
        if not (math.isfinite(job.scale) and job.scale > 0):
            raise SettingError(translate("ScasNet", "The scale of the input must lie above 0."))
        return job

    @property
    def whole(self) -> bool:
        """Whether all of ScasNet is wanted, and not only its encoder."""
        return self.output.suffix.lower() == MODEL_SUFFIX
