"""Option values and limits of parameters, free of imports so that dialogs open fast."""

from __future__ import annotations

# Test-time augmentation: the mirrored and turned views of a tile.
NONE, MIRROR, FULL = "none", "mirror", "full"
FLIPS = (NONE, MIRROR, FULL)
# Units of the smallest patch of a map.
PIXELS, SQUARE_METRES = "pixels", "square metres"
PATCH_UNITS = (PIXELS, SQUARE_METRES)
# Whether accuracy figures are adjusted to the areas of the classes.
ADJUSTED = ("auto", "yes", "no")
MAX_BOUNDARY_PIXELS = 100  # pixels
MAX_SAMPLE_POINTS = 100_000  # of a sample
MIN_CLASS_POINTS = 2  # a class with fewer has no confidence interval
# Precisions of an exported model, and their names in its card.
EXPORT_PRECISIONS = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
SMALLEST_FIXED_SIZE = 32  # pixels
