"""Sentences that arise below the QGIS layer are shown in the user's language."""

from __future__ import annotations

import pytest
from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import QCoreApplication, QTranslator


class Translator(QTranslator):
    def isEmpty(self) -> bool:
        return False

    def translate(self, context, source, disambiguation=None, number=-1):
        return f"«{source}»" if context == "ScasNet" else None


@pytest.fixture
def translated(qgis_app):
    translator = Translator()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


def test_error_is_translated_and_filled(translated, run, image, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"«.*9.*3.*»"):
        run("scasnet:segment", INPUT=str(image), BANDS=[1, 2, 9], OUTPUT=str(tmp_path / "map.tif"))


def test_log_is_translated(translated, run, image, feedback, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "map.tif"))
    assert any(line.startswith("«") and line.endswith("»") for line in feedback.lines)
