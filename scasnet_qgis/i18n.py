"""Translation of the texts a user sees: ``translate("ScasNet", "text")``."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

translate = QCoreApplication.translate
