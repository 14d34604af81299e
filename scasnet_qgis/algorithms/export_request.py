"""The parameters of ``scasnet:exportmodel`` as what the task in the other process is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext

from scasnet_qgis import paths
from scasnet_qgis.algorithms import export_parameters as names
from scasnet_qgis.algorithms.reference_input import ReferenceInput
from scasnet_qgis.core.errors import ModelError
from scasnet_qgis.core.messages import translate
from scasnet_qgis.core.progress import Progress
from scasnet_qgis.models.model_file import inspect
from scasnet_qgis.raster.label_class import LabelClass
from scasnet_qgis.raster.labels import classes_of
from scasnet_qgis.training.export_request import ExportRequest, check_source


def request_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    output: Path,
    raster: str,
    reference: dict[str, Any] | None,
) -> ExportRequest:
    """What to export; ``raster`` and ``reference`` are what the layers say."""
    chosen = algorithm.parameterAsString(parameters, names.INPUT, context)
    size = None
    if parameters.get(names.FIXED_SIZE) not in (None, ""):
        size = algorithm.parameterAsInt(parameters, names.FIXED_SIZE, context)
    return ExportRequest(
        source=Path(chosen) if chosen else paths.default_model(),
        output=output,
        precision=algorithm.parameterAsEnumString(parameters, names.PRECISION, context),
        raster=raster,
        demo=str(paths.resources() / "demo" / "dubai.tif"),
        bands=tuple(algorithm.parameterAsInts(parameters, names.BANDS, context)),
        fixed_size=size,
        reference=reference,
    )


def check_request(request: ExportRequest) -> None:
    """Raise ModelError or SettingError for a source that cannot be exported as it is wanted."""
    request.check_choices()
    if request.is_model:
        check_source(inspect(request.source), request.fixed_size)
    elif not request.source.exists():
        raise ModelError(
            translate(
                "ScasNet", "{path} does not exist: choose a model (.onnx) or a training's folder."
            ),
            path=request.source,
        )


def whole_reference(reference: ReferenceInput | None, progress: Progress) -> dict[str, Any] | None:
    """The reference with its classes; finding them may mean to read it."""
    if reference is None:
        return None
    file, field = reference.file, reference.field
    classes: Sequence[LabelClass] = reference.legend
    if not classes and not field:
        classes = classes_of(file.path, progress=progress)
    entries = [asdict(each) for each in classes]
    return {"path": file.path, "layer": file.layer, "field": field, "classes": entries}


def values_of(request: ExportRequest) -> dict[str, Any]:
    """The request as the task in the other process takes it."""
    values = {key: each for key, each in vars(request).items() if key not in ("source", "output")}
    return {**values, "input": str(request.source), "output": str(request.output)}
