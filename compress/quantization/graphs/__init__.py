"""ONNX graphs in integers: dynamic, static, 4-bit weights, and what makes them exact."""
