"""The provider and what it declares."""

from __future__ import annotations

import re

import pytest
from qgis.core import QgsApplication, QgsProcessingParameterDefinition

IDS = {"scasnet:segment", "scasnet:checksetup"}


def test_provider_lists_its_algorithms(provider):
    assert provider.id() == "scasnet"
    assert {each.id() for each in provider.algorithms()} == IDS
    assert all(re.fullmatch(r"[a-z0-9]+", each.name()) for each in provider.algorithms())


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
    advanced = {each.name() for each in algorithm.parameterDefinitions() if each.flags() & flag}
    assert advanced == {"DEVICE", "TILE_SIZE", "OVERLAP", "BATCH_SIZE", "THREADS"}


def test_icon_is_there(provider):
    assert not provider.icon().isNull()
    assert provider.svgIconPath().endswith(".svg")


def test_settings_are_in_the_options_of_processing(provider):
    from processing.core.ProcessingConfig import ProcessingConfig

    keys = {each.name for each in ProcessingConfig.settings.values() if each.group == "ScasNet"}
    assert keys == {"SCASNET_PACKAGES_FOLDER", "SCASNET_TORCH_PYTHON", "SCASNET_DEFAULT_DEVICE"}
