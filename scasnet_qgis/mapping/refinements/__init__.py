"""What is done to the labels that a model found: one module each, applied in this order.

A new one is a module with a ``Refinement`` (see refinement.py) and its entry here. Loading these
modules loads nothing heavy, as dialogs are made from their settings.
"""

from scasnet_qgis.mapping.refinements.majority import Majority
from scasnet_qgis.mapping.refinements.min_confidence import MinConfidence
from scasnet_qgis.mapping.refinements.minimum_mapping_unit import MinimumMappingUnit

REFINEMENTS = (MinConfidence, Majority, MinimumMappingUnit)
