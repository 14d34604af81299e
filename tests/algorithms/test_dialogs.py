"""The dialogs of all algorithms, opened as QGIS opens them, whatever layer is active."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.real_qgis import DEMO, ROOT

# A crash would end the tests too, so this runs in a process of its own. Boxes get every entry that
# they have, layers of all kinds among them; parents of a field also get what boxes do not offer.
DIALOGS = """
import json, os, sys
import qgis.utils
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingModelAlgorithm
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsBrowserGuiModel, QgsMapCanvas
from qgis.PyQt.QtWidgets import QComboBox, QMainWindow

class Interface:
    def __init__(self):
        self.window, self.canvas, self.browser = QMainWindow(), QgsMapCanvas(), QgsBrowserGuiModel()
        self.layer = None
    def __getattr__(self, name):
        found = {"mainWindow": self.window, "mapCanvas": self.canvas, "browserModel": self.browser}
        return lambda *arguments: self.layer if name == "activeLayer" else found.get(name)

application = QgsApplication([], True)
application.initQgis()
qgis.utils.iface = interface = Interface()
sys.path.append(QgsApplication.pkgDataPath() + "/python/plugins")
from processing.core.Processing import Processing
from processing.gui.AlgorithmDialog import AlgorithmDialog
from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
from processing.modeler.ModelerParametersDialog import ModelerParametersDialog
Processing.initialize()
from scasnet_qgis import classFactory
plugin = classFactory(interface)
plugin.initGui()

drawn = "?crs=EPSG:4326&field=kind:string&field="
layers = [
    None,
    QgsRasterLayer(sys.argv[1], "raster"),
    QgsVectorLayer("Polygon" + drawn + "code:integer", "polygons", "memory"),
    QgsVectorLayer("Point" + drawn + "day:date", "points", "memory"),
]
QgsProject.instance().addMapLayers(layers[1:])
raster, polygons, points = (layer.id() for layer in layers[1:])
PARENTS = {"REFERENCE": [raster, polygons, points, sys.argv[1], "gone.tif", "", None]}
PARENTS["LABELS"] = [
    [raster], [polygons], [sys.argv[1]], [points, polygons], [raster, polygons], [],
]
offered, context = {}, QgsProcessingContext()
context.setProject(QgsProject.instance())

def try_boxes(dialog):
    for box in dialog.findChildren(QComboBox):
        for index in range(box.count()):
            box.setCurrentIndex(index)
            box.activated.emit(index)
            application.processEvents()

def try_parents(name, wrappers):
    field = wrappers.get("CLASS_FIELD")
    for parent in PARENTS.keys() & wrappers.keys():
        for value in PARENTS[parent]:
            wrappers[parent].setParameterValue(value, context)
            field.setParameterValue("kind", context)
            box = field.wrappedWidget()
            fields = [box.itemText(index) for index in range(box.count())]
            offered.setdefault(name, []).append([box.isEnabled(), *fields])
            assert field.parameterValue() == "kind"

for algorithm in plugin._provider.algorithms():
    for interface.layer in layers:
        for kind in (AlgorithmDialog, BatchAlgorithmDialog):
            dialog = kind(algorithm.create(), parent=interface.window)
            interface.canvas.setCurrentLayer(interface.layer)
            dialog.show()
            try_boxes(dialog)
            if kind is AlgorithmDialog:
                offered.pop(algorithm.name(), None)
                try_parents(algorithm.name(), dialog.mainWidget().wrappers)
            dialog.close()
            application.processEvents()
    dialog = ModelerParametersDialog(algorithm.create(), QgsProcessingModelAlgorithm("a", "b", "c"))
    dialog.show()
    try_boxes(dialog)
    dialog.close()
plugin.unload()
print(json.dumps(offered))
sys.stdout.flush()
os._exit(0)  # some libraries crash when they are unloaded
"""
NO_FIELDS = [False, ""]  # and none can be typed
ANY_FIELD = [True, ""]


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[object]]]:
    """By algorithm and chosen parent layer: whether a field can be chosen, and which."""
    profile = {"QGIS_CUSTOM_CONFIG_PATH": str(tmp_path_factory.mktemp("profile"))}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", DIALOGS, str(DEMO)],
        cwd=ROOT,
        env={**os.environ, **profile, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[list[object]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_dialog_opens_and_closes_whatever_layer_is_active(offered):
    assert set(offered) == {"evaluate", "exportmodel", "train"}  # those with a field to choose


@pytest.mark.parametrize("name", ["evaluate", "exportmodel"])
def test_fields_of_a_reference_are_offered_and_a_raster_has_none(offered, name):
    of_polygons, of_points = [True, "", "kind", "code"], [True, "", "kind", "day"]
    of_layers = [NO_FIELDS, of_polygons, of_points, NO_FIELDS]
    assert offered[name] == [*of_layers, ANY_FIELD, ANY_FIELD, ANY_FIELD]


def test_fields_that_all_labels_have_are_offered(offered):
    of_polygons, of_both = [True, "", "kind", "code"], [True, "", "kind"]
    assert offered["train"] == [NO_FIELDS, of_polygons, NO_FIELDS, of_both, of_polygons, ANY_FIELD]
