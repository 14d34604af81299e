"""One land-cover map, from settings to files; needs no QGIS."""
