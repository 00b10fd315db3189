"""ONNX graphs: export, fusion, quantization, parity and sessions."""
