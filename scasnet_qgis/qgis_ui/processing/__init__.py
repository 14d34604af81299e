"""Algorithms as QGIS wants them: the base class, declared settings as parameters, the worker."""
