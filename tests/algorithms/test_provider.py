"""The provider and what it declares."""

from __future__ import annotations

import re

import pytest
from qgis.core import QgsApplication, QgsProcessingParameterDefinition, QgsSettings
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt

from scasnet_qgis.common.options import options_of
from scasnet_qgis.mapping.refinements import REFINEMENTS

NAMES = (
    "segment", "train", "evaluate", "samplepoints", "importcaffe", "exportmodel", "modelinfo",
    "checksetup",
)  # fmt: skip
IDS = {f"scasnet:{name}" for name in NAMES}


def test_provider_lists_its_algorithms(provider):
    assert provider.id() == "scasnet"
    assert {algorithm.id() for algorithm in provider.algorithms()} == IDS
    assert all(re.fullmatch(r"[a-z0-9]+", algorithm.name()) for algorithm in provider.algorithms())


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_parameter_has_a_label_and_help(provider, name):
    algorithm = QgsApplication.processingRegistry().algorithmById(name)
    assert algorithm.displayName()
    assert algorithm.shortHelpString()
    for parameter in algorithm.parameterDefinitions():
        assert parameter.description(), parameter.name()
        assert len(parameter.help()) > 20, parameter.name()


def test_expert_parameters_are_folded_away(provider):
    algorithm = QgsApplication.processingRegistry().algorithmById("scasnet:segment")
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    advanced = {
        parameter.name()
        for parameter in algorithm.parameterDefinitions()
        if parameter.flags() & flag
    }
    computing = {"VALUE_RANGE", "DEVICE", "TILE_SIZE", "OVERLAP", "BATCH_SIZE", "THREADS"}
    options = [option for kind in REFINEMENTS for option in options_of(kind).values()]
    refining = {"SCALES", "FLIPS", *(option.parameter for option in options)}
    assert refining > {"SIEVE", "SIEVE_UNIT", "MIN_CONFIDENCE"}
    rendering = {"PIXEL_SIZE", "MAX_REQUESTS"}
    assert advanced == computing | refining | rendering | {"RESAMPLE", "RESUME"}


def test_icon_is_there(provider):
    assert not provider.icon().isNull()
    assert provider.svgIconPath().endswith(".svg")


def test_settings_are_in_the_options_of_processing(provider):
    from processing.core.ProcessingConfig import ProcessingConfig

    keys = {
        setting.name for setting in ProcessingConfig.settings.values() if setting.group == "ScasNet"
    }
    assert keys == {"SCASNET_PACKAGES_FOLDER", "SCASNET_TORCH_PYTHON", "SCASNET_DEFAULT_DEVICE"}


def test_options_page_of_processing_shows_the_settings(provider):
    from processing.core.ProcessingConfig import ProcessingConfig
    from processing.gui.ConfigDialog import ConfigDialog

    dialog = ConfigDialog()
    try:
        flag = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
        groups = [item.rowCount() for item in dialog.model.findItems("ScasNet", flag)]
        assert 3 in groups
        device = dialog.items[ProcessingConfig.settings["SCASNET_DEFAULT_DEVICE"]]
        assert device.text() == "auto"
    finally:
        sip.delete(dialog)


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_algorithm_has_a_window_and_something_to_show_in_it(provider, name):
    """QGIS runs what has no parameter at once, and shows only layers and pages."""
    algorithm = QgsApplication.processingRegistry().algorithmById(name)
    assert algorithm.countVisibleParameters() > 0
    shown = {output.type() for output in algorithm.outputDefinitions()}
    assert shown & {"outputRaster", "outputVector", "outputHtml", "outputFile"}


def test_page_of_check_setup_is_made_unless_somebody_declines(provider):
    algorithm = QgsApplication.processingRegistry().algorithmById("scasnet:checksetup")
    assert algorithm.parameterDefinition("HTML").createByDefault()
    assert algorithm.outputDefinition("HTML").type() == "outputHtml"


@pytest.fixture
def device_setting(provider):
    from processing.core.ProcessingConfig import ProcessingConfig

    setting = ProcessingConfig.settings["SCASNET_DEFAULT_DEVICE"]
    before, stored = setting.value, QgsSettings().value(setting.qname)
    yield setting
    setting.value = before
    QgsSettings().remove(setting.qname)
    if stored is not None:
        QgsSettings().setValue(setting.qname, stored)


def test_default_device_chosen_in_the_options_is_used(device_setting):
    from scasnet_qgis import settings

    assert settings.default_device() == "auto"
    device_setting.setValue("cpu")
    device_setting.save()  # as an index, which is how QGIS stores a choice
    assert settings.default_device() == "cpu"
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("scasnet:segment")
    assert algorithm.parameterDefinition("DEVICE").defaultValue() == "cpu"
    device_setting.value = "auto"
    device_setting.read()
    assert device_setting.value == "cpu"
