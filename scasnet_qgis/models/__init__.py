"""Models in ONNX Runtime; the package imports it only where a model is opened."""
