"""Static int8 by NNCF on the exported ONNX graph, with its preset for transformers.

Runs in the `nncf` environment.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import nncf
import numpy as np
import onnx


def main() -> None:
    """Writes `model.onnx` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fp32", help="the exported fp32 model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, help="JSON list of tokenised rows")
    options = parser.parse_args()

    model = onnx.load(options.fp32)
    declared = {each.name for each in model.graph.input}
    rows = json.loads(options.calibration.read_text())
    feeds = [{k: np.array([v], dtype=np.int64) for k, v in row.items() if k in declared} for row in rows]
    quantized = nncf.quantize(model, nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER, subset_size=300)
    onnx.save(quantized, options.out / "model.onnx")


if __name__ == "__main__":
    main()
