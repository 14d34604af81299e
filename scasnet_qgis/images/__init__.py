"""Windows of pixels from raster files and web layers."""
