"""What settings may be, apart from what works with them: a dialog needs no more than this."""

from __future__ import annotations

# How else than as it lies the model looks at a tile.
NONE, MIRROR, FULL = "none", "mirror", "full"
FLIPS = (NONE, MIRROR, FULL)
# The unit in which the smallest patch of a map is given.
PIXELS, SQUARE_METRES = "pixels", "square metres"
PATCH_UNITS = (PIXELS, SQUARE_METRES)
# Whether area-adjusted figures are wanted.
ADJUSTED = ("auto", "yes", "no")
MOST_BOUNDARY = 100  # pixels
MOST_POINTS = 100_000  # of a sample
FEW_POINTS = 2  # a class with fewer has no confidence interval
# The precisions of an exported model, and what its card calls them.
EXPORT_PRECISIONS = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
SMALLEST_FIXED_SIZE = 32  # pixels
