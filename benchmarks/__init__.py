"""Measurements of speed, memory and accuracy; each module says how it is run."""

from __future__ import annotations

import scasnet_qgis  # noqa: F401  # first of all, as it keeps ONNX Runtime from reporting
