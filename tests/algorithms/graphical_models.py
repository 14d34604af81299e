"""Builds graphical models of Processing."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterDefinition,
)

Source = QgsProcessingModelChildParameterSource
Step = tuple[str, dict[str, Any]]


def graphical_model(
    inputs: list[QgsProcessingParameterDefinition], steps: dict[str, Step], output: str = ""
) -> tuple[QgsProcessingModelAlgorithm, str]:
    """A model of ``steps``, and the parameter that its OUTPUT is written to.

    A step is an algorithm and its parameters: a ``Source``, or a plain value. ``output`` is the
    step whose OUTPUT is that of the model; "": none.
    """
    model = QgsProcessingModelAlgorithm("model", "model", "tests")
    for parameter in inputs:
        model.addModelParameter(parameter, QgsProcessingModelParameter(parameter.name()))
    for name, (algorithm, parameters) in steps.items():
        child = QgsProcessingModelChildAlgorithm(algorithm)
        child.setChildId(name)
        for key, value in parameters.items():
            source = value if isinstance(value, Source) else Source.fromStaticValue(value)
            child.addParameterSources(key, [source])
        if name == output:
            result = QgsProcessingModelOutput("result", "result")
            result.setChildId(name)
            result.setChildOutputName("OUTPUT")
            child.setModelOutputs({"result": result})
        model.addChildAlgorithm(child)
    model.initAlgorithm()
    # QGIS makes the name up.
    return model, model.destinationParameterDefinitions()[0].name() if output else ""
