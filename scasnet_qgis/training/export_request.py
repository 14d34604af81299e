"""What ``scasnet:exportmodel`` is asked to do. Needs neither PyTorch nor the package onnx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scasnet_qgis.core.choices import EXPORT_PRECISIONS, SMALLEST_FIXED_SIZE
from scasnet_qgis.core.errors import ModelError, OutputError, SettingError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.models.model_file import ModelInfo
from scasnet_qgis.models.onnx_proto import contents
from scasnet_qgis.raster.whole_files import check_targets


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and on what to calibrate and compare it.

    ``source`` is a model file or what ``training.weights.checkpoint_folder`` understands.
    ``raster`` is "" where the user chose none; ``demo`` is an image in red, green and blue that
    may stand in for it. ``bands`` are numbers of the raster's bands, none to find them.
    ``reference`` is what ReferenceLabels takes, or None.
    """

    source: Path
    output: Path
    precision: str
    raster: str = ""
    demo: str = ""
    bands: tuple[int, ...] = ()
    fixed_size: int | None = None
    reference: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ExportRequest:
        """From JSON values: ``input``, ``output``, ``precision``, and the rest where wanted."""
        return cls(
            source=Path(values["input"]),
            output=Path(values["output"]),
            precision=str(values["precision"]),
            raster=str(values.get("raster") or ""),
            demo=str(values.get("demo") or ""),
            bands=tuple(values.get("bands") or ()),
            fixed_size=values.get("fixed_size") or None,
            reference=values.get("reference") or None,
        )

    @property
    def is_model(self) -> bool:
        """Whether the source is a model file, not a checkpoint."""
        return self.source.suffix.lower() == ".onnx"

    def check_choices(self) -> None:
        """Raise SettingError for choices that do not go together."""
        if self.precision not in EXPORT_PRECISIONS:
            raise SettingError(
                translate("ScasNet", "There is no precision '{name}': choose one of {names}."),
                name=self.precision,
                names=", ".join(EXPORT_PRECISIONS),
            )
        if self.precision == "int8" and not self.raster:
            raise SettingError(
                translate(
                    "ScasNet",
                    "A model in 8 bit is calibrated on a raster: choose one like those that are "
                    "to be mapped.",
                )
            )
        if self.reference is not None and not self.raster:
            raise SettingError(
                translate(
                    "ScasNet",
                    "The reference says what is on a raster: choose that raster for calibration.",
                )
            )
        if self.fixed_size is not None and self.fixed_size < SMALLEST_FIXED_SIZE:
            raise SettingError(
                translate("ScasNet", "A fixed tile size must be at least {size} pixels."),
                size=SMALLEST_FIXED_SIZE,
            )

    def check(self) -> None:
        """Raise SettingError or OutputError for what can be seen to fail before any work."""
        self.check_choices()
        if self.output.suffix.lower() != ".onnx":
            raise OutputError(
                translate("ScasNet", "The model's name must end in .onnx, not '{suffix}'."),
                suffix=self.output.suffix,
            )
        reference = str((self.reference or {}).get("path", ""))
        inputs = (str(self.source), self.raster, reference)
        check_targets([self.output], [each for each in inputs if each])


def check_source(model: ModelInfo, fixed_size: int | None) -> None:
    """Raise ModelError or SettingError unless ``model`` can be converted as it is wanted."""
    stored = contents(model.path).precision or "float32"
    if model.card.precision not in ("", "float32"):
        stored = model.card.precision
    if stored != "float32" or model.input_type != "float32":
        raise ModelError(
            translate(
                "ScasNet",
                "{name} is not in single precision (fp32): take the model that it was made of, or "
                "the checkpoint of its training.",
            ),
            f"weights {stored}, input {model.input_type}",
            name=model.path.name,
        )
    if fixed_size and model.fixed_size not in (None, (fixed_size, fixed_size)):
        raise SettingError(
            translate(
                "ScasNet",
                "{name} already works with tiles of {rows} x {cols} pixels only: leave the fixed "
                "tile size empty.",
            ),
            name=model.path.name,
            rows=(model.fixed_size or (0, 0))[0],
            cols=(model.fixed_size or (0, 0))[1],
        )
