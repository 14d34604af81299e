"""What the algorithms share with QGIS."""
