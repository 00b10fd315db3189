"""Quantized ONNX graphs: dynamic, static, weight-only, and the rewrites that they need."""
