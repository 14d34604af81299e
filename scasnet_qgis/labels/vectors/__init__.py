"""Polygons on a raster's grid."""
