"""The tiny artifacts, for every test of this folder."""

from tests.artifacts import tiny_onnx, tiny_task, tiny_torch

__all__ = ["tiny_onnx", "tiny_task", "tiny_torch"]
