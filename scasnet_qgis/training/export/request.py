"""What ``scasnet:exportmodel`` is asked to do; known to QGIS and to the process that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.common.choices import EXPORT_PRECISIONS, SMALLEST_FIXED_SIZE
from scasnet_qgis.common.errors import SettingError
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.options import BandNumbers, Choice, Number, check_limits, option

CALIBRATION = "CALIBRATION"  # the parameter whose raster ``bands`` are of


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and on what to calibrate and compare it.

    ``source`` is a model file or what ``checkpoint.checkpoint_folder`` understands.
    ``raster`` is "" where the user chose none; ``demo`` is an image in red, green and blue that
    may stand in for it. ``bands`` are numbers of the raster's bands, none to find them.
    ``reference`` is what ReferenceLabels takes, or None.

    Raises SettingError for choices that do not go together.
    """

    source: Path
    output: Path
    raster: str = ""
    demo: str = ""
    reference: Mapping[str, Any] | None = None
    precision: str = option(
        "fp32",
        "PRECISION",
        translate("ScasNet", "Precision"),
        translate(
            "ScasNet",
            "fp32 keeps single precision (32 bit). fp16 (16 bit) halves the file and is faster on "
            "graphics cards. int8 (8 bit) makes a file of about a quarter that maps about twice as "
            "fast on processors, but changes about one label in a hundred.",
        ),
        Choice(tuple(EXPORT_PRECISIONS)),
    )
    fixed_size: int | None = option(
        None,
        "FIXED_SIZE",
        translate("ScasNet", "Fixed tile size (pixels)"),
        translate(
            "ScasNet",
            "Makes a file for square tiles of this size only, which Deepness and GeoDeep need. "
            "Leave it empty for a file that takes tiles of any size.",
        ),
        Number(SMALLEST_FIXED_SIZE, 16384, integer=True, optional=True),
    )
    bands: tuple[int, ...] = option(
        (),
        "BANDS",
        translate("ScasNet", "Bands"),
        translate(
            "ScasNet",
            "Bands of the raster for the bands of the model, in the model's order. Leave it empty "
            "to find them by colour interpretation and then by order.",
        ),
        BandNumbers(CALIBRATION),
        advanced=True,
    )

    def __post_init__(self) -> None:
        check_limits(self)
        if self.precision == "int8" and not self.raster:
            text = translate(
                "ScasNet",
                "An int8 model is calibrated on a raster: choose one like those to be mapped.",
            )
            raise SettingError(text)
        if self.reference is not None and not self.raster:
            text = translate(
                "ScasNet",
                "The reference needs a raster: choose the one it belongs to for calibration.",
            )
            raise SettingError(text)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ExportRequest:
        """From JSON values: ``source``, ``output``, and the rest where wanted."""
        known = dict(values)
        source, output = Path(known.pop("source")), Path(known.pop("output"))
        bands = tuple(known.pop("bands", ()))
        return cls(source, output, bands=bands, **known)

    @property
    def is_model(self) -> bool:
        """Whether the source is a model file, not a checkpoint."""
        return self.source.suffix.lower() == ".onnx"
