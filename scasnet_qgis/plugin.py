"""The plugin: it registers the Processing provider and the translation, nothing else."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

from scasnet_qgis import paths
from scasnet_qgis.algorithms.provider import ScasNetProvider


class ScasNetPlugin:
    """Lives as long as QGIS has the plugin loaded."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        # QGIS 3.22 crashes if Python lets go of a registered provider.
        self._provider: ScasNetProvider | None = None
        self._translator: QTranslator | None = None

    def initProcessing(self) -> None:
        """The only thing that qgis_process calls."""
        self._install_translator()
        self._provider = ScasNetProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        self.initProcessing()

    def unload(self) -> None:
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)
            self._translator = None

    def _install_translator(self) -> None:
        locale = str(QgsSettings().value("locale/userLocale", "") or "")[:2]
        translator = QTranslator()
        if locale and translator.load(str(paths.translations() / f"scasnet_{locale}.qm")):
            QCoreApplication.installTranslator(translator)
            self._translator = translator
