"""Sentences that arise below the QGIS layer are shown in the user's language."""

from __future__ import annotations

import pytest
from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

GERMAN = {
    "Band {number} does not exist: the raster has the bands 1 to {count}.": (
        "Band {number} gibt es nicht: das Bild hat die Bänder 1 bis {count}."
    ),
    "The raster marks no pixels as without data.": "Alle Pixel gelten als Daten.",
}


class Translator(QTranslator):
    def isEmpty(self) -> bool:
        return False

    def translate(self, context, source, disambiguation=None, number=-1):
        return GERMAN.get(source) if context == "ScasNet" else None


@pytest.fixture
def german(qgis_app):
    translator = Translator()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


def test_error_is_translated_and_filled(german, run, image, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"Band 9 gibt es nicht.*1 bis 3"):
        run("scasnet:segment", INPUT=str(image), BANDS=[1, 2, 9], OUTPUT=str(tmp_path / "map.tif"))


def test_log_is_translated(german, run, image, feedback, tmp_path):
    run("scasnet:segment", INPUT=str(image), OUTPUT=str(tmp_path / "map.tif"))
    assert "Alle Pixel gelten als Daten." in feedback.lines
