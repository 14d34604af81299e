"""Class indices on a raster's grid, from polygons or rasters."""
