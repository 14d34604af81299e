"""How good a map is, by a reference; and samples drawn for that. Needs no QGIS."""
