"""What every algorithm gets from its base: a refusal in the main thread is one sentence."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from qgis.core import QgsProcessingException

from scasnet_qgis.common.errors import Cancelled, InputError, SettingError
from scasnet_qgis.qgis_ui.processing.base import ScasNetAlgorithm


class Picky(ScasNetAlgorithm):
    """Refuses by what its parameters say; keeps what was called."""

    called: ClassVar[list[str]] = []

    def name(self) -> str:
        return "picky"

    def displayName(self) -> str:
        return "Picky"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        pass

    def check(self, parameters, context) -> None:
        if parameters.get("CHECK"):
            raise SettingError("The setting {name} is none.", name=parameters["CHECK"])

    def read_layers(self, parameters, context, feedback) -> None:
        self.called.append("read_layers")
        if parameters.get("LAYER"):
            raise InputError("The layer {name} is none.", name=parameters["LAYER"])

    def compute(self, parameters, context, feedback) -> dict[str, Any]:
        self.called.append("compute")
        if parameters.get("CANCEL"):
            raise Cancelled
        return {"DONE": True}


@pytest.fixture
def picky(qgis_app) -> Picky:
    Picky.called.clear()
    return Picky()


def test_layers_are_read_before_the_work(picky, context, feedback) -> None:
    assert picky.run({}, context, feedback) == ({"DONE": True}, True)
    assert Picky.called == ["read_layers", "compute"]


def test_a_refusal_is_raised_where_qgis_shows_it(picky, context, feedback) -> None:
    assert picky.prepareAlgorithm({"LAYER": "lake"}, context, feedback)
    with pytest.raises(QgsProcessingException, match="lake"):
        picky.processAlgorithm({"LAYER": "lake"}, context, feedback)
    assert "compute" not in Picky.called
    assert picky.prepareAlgorithm({}, context, feedback)
    assert picky.processAlgorithm({}, context, feedback) == {"DONE": True}


def test_after_a_cancel_it_is_said_what_is_there(picky, context, feedback) -> None:
    assert picky.run({"CANCEL": True}, context, feedback)[0] == {}
    assert feedback.warnings == [picky.cancelled_text()]


def test_what_qgis_does_itself_is_not_overridden(provider) -> None:
    """It calls these from C++ without looking at Python, and scripts call them from Python."""
    own = {"create", "prepare", "run", "runPrepared", "postProcess"}
    for algorithm in provider.algorithms():
        ours = [kind for kind in type(algorithm).__mro__ if kind.__module__.startswith("scasnet")]
        assert len(ours) >= 2
        assert not any(own & set(vars(kind)) for kind in ours), algorithm.id()


def test_what_is_checked_before_is_said(picky, context) -> None:
    assert picky.checkParameterValues({"CHECK": "x"}, context) == (False, "The setting x is none.")
    assert picky.checkParameterValues({}, context) == (True, "")
