"""What the training process can do, by the names of its subcommands."""

from __future__ import annotations

from importlib import import_module, util
from typing import Any, Callable

from scasnet_qgis.common.progress import Progress

Task = Callable[[dict[str, Any], Progress], dict[str, Any]]
# "module:function", imported when the task is run: each of them needs packages that others do not.
TASKS: dict[str, str] = {
    "train": "scasnet_qgis.training.run:train_task",
    "importcaffe": "scasnet_qgis.training.caffe.import_job:import_task",
    "export": "scasnet_qgis.training.export.job:export_task",
}

# What the tasks need sooner or later, by module, and what people call it. A task that is without
# one says so now, not when hours of training are to be written into a file.
PACKAGES = {
    "numpy": "numpy",
    "osgeo": "GDAL",
    "torch": "PyTorch",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
}


# A model file is converted without PyTorch; a checkpoint asks for it when it is read.
_NOT_NEEDED = {"export": ("torch", "safetensors")}


def missing_packages(task: str) -> list[str]:
    """The packages that a task needs and this interpreter lacks, by the names that people know."""
    needed = [module for module in PACKAGES if module not in _NOT_NEEDED.get(task, ())]
    return [PACKAGES[module] for module in needed if util.find_spec(module) is None]


def task_function(task: str) -> Task:
    """The function behind a name of TASKS; raises ImportError where a package does not load."""
    module, name = TASKS[task].split(":")
    function: Task = getattr(import_module(module), name)
    return function
