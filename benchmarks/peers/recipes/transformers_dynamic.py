"""Exports a classifier with transformers' own ONNX exporter and its dynamic int8 quantizer, all at their defaults.

Runs in the `transformers` environment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.exporters import OnnxConfig, OnnxExporter, OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer


def main() -> None:
    """Writes `one-file.onnx` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()

    model = AutoModelForSequenceClassification.from_pretrained(options.teacher).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.teacher)
    inputs = dict(tokenizer(["a short one", "and a somewhat longer sentence"], padding=True, return_tensors="pt"))
    quantizer = OnnxRuntimeQuantizer(OnnxRuntimeDynamicConfig())
    with torch.no_grad():
        exported = OnnxExporter().export(model, inputs, OnnxConfig(dynamic=True, quantizer=quantizer))
    exported.save_pretrained(options.out)
    # It writes the weights into a file of their own; one file holds the same model and is what the others give.
    onnx.save(onnx.load(options.out / "model.onnx"), options.out / "one-file.onnx")


if __name__ == "__main__":
    main()
