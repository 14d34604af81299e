"""QGIS layers as plain values, and styles back onto layers."""
