"""The task behind ``scasnet:exportmodel``: a model or a checkpoint in another precision.

Converting a model file needs no PyTorch: what does is imported where a checkpoint is read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from onnx import ModelProto

from scasnet_qgis.common.choices import EXPORT_PRECISIONS
from scasnet_qgis.common.errors import ModelError, ScasNetError
from scasnet_qgis.common.file_errors import check_ending
from scasnet_qgis.common.messages import translate
from scasnet_qgis.common.progress import Progress, Stage
from scasnet_qgis.images.gdal_session import gdal_session
from scasnet_qgis.models.model_file import ModelInfo, inspect
from scasnet_qgis.outputs.atomic_files import atomic_files, check_targets
from scasnet_qgis.training.export.calibration_tiles import Inputs, ReferenceLabels
from scasnet_qgis.training.export.onnx_graph import fix_size, read_graph, simplified, written
from scasnet_qgis.training.export.report import compare, notes_of, report_of, summary_of
from scasnet_qgis.training.export.request import ExportRequest
from scasnet_qgis.training.export.source import check_source, exact_model

CONVERTED = 0.6  # of the progress; the comparison takes the rest
_PASSES = {"fp32": 0, "fp16": 1, "int8": 2}  # how often a conversion goes through its tiles


def export_task(values: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Export as ``values`` say (see ExportRequest.of); returns the report of the comparison.

    The file appears under its name once it is whole and compared. Raises a ScasNetError.
    """
    request = ExportRequest.of(values)
    _check_output(request)
    with gdal_session(), tempfile.TemporaryDirectory(prefix="scasnet-export-") as folder:
        source = exact_model(request, Path(folder), progress)
        exact, sample = source.info, source.sample
        check_source(exact, request.fixed_size)
        reference = None
        if request.reference is not None:
            reference = ReferenceLabels(request.reference, sample.grid, exact.card, progress)
        side = request.fixed_size
        size = exact.fixed_size or ((side, side) if side else None)
        division = sample.divide(size, exact.margin, reference)
        with atomic_files([request.output]) as working:
            file = working[request.output]
            converting = Stage(progress, 0.0, CONVERTED)
            passes = _PASSES[request.precision]
            tiles = Inputs(sample, division.calibration, exact, converting, passes)
            file.write_bytes(_converted(exact, request, tiles))
            other = inspect(file)
            comparing = Stage(progress, CONVERTED, 1.0)
            parity = compare(exact, other, sample, division.comparison, reference, comparing)
            report = report_of(request, exact, other, parity)
            report.update(
                raster=sample.source,
                calibrated_on=len(division.calibration) if passes else 0,
                shared=division.shared,
                network_difference=source.difference,
            )
            progress.check()
    for line in summary_of(report):
        progress.info(line)
    for note in notes_of(report):
        progress.warn(note)
    return report


def _check_output(request: ExportRequest) -> None:
    """Raise OutputError for what can be seen to fail before any work."""
    check_ending(request.output, ".onnx")
    reference = str((request.reference or {}).get("path", ""))
    inputs = (str(request.source), request.raster, reference)
    check_targets([request.output], [path for path in inputs if path])


def _converted(exact: ModelInfo, request: ExportRequest, tiles: Inputs) -> bytes:
    """The bytes of the file; raises ModelError where the graph cannot be converted."""
    try:
        original = read_graph(exact.path)
        model = _in_precision(read_graph(exact.path), request.precision, exact.input_name, tiles)
        if request.fixed_size and exact.fixed_size is None:
            fix_size(model, exact, request.fixed_size)
        return written(model, original, exact, EXPORT_PRECISIONS[request.precision])
    except (ScasNetError, MemoryError, ImportError, OSError):
        raise
    except Exception as error:  # onnx and onnxruntime have no common class of errors
        text = translate(
            "ScasNet", "{name} cannot be converted to {precision}: choose another precision."
        )
        raise ModelError(
            text,
            f"{type(error).__name__}: {error}",
            name=exact.path.name,
            precision=request.precision,
        ) from error


def _in_precision(model: ModelProto, precision: str, input_name: str, tiles: Inputs) -> ModelProto:
    if precision == "fp32":
        return model
    # ONNX Runtime's converters take long to import.
    from scasnet_qgis.training.export.precision import to_half, to_int8

    if precision == "fp16":
        return to_half(model, tiles, input_name)
    return to_int8(simplified(model), tiles, input_name)
