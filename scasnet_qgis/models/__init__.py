"""ONNX model files, and sessions of ONNX Runtime."""
