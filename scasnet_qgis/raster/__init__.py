"""Reading and writing rasters with GDAL."""
