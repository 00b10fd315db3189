"""Static int8 per channel by Optimum's Python API: its `avx512_vnni` preset, min-max ranges, our calibration rows.

Runs in the `optimum` environment. `--operators preset` quantizes what the preset names; `--operators products`
only MatMul, Gemm and Gather.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from onnxruntime.quantization import CalibrationMethod
from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer
from optimum.onnxruntime.configuration import CalibrationConfig


def main() -> None:
    """Writes `model_quantized.onnx` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fp32", help="folder of the exported fp32 model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, help="JSON list of tokenised rows")
    parser.add_argument("--operators", choices=["preset", "products"], default="preset")
    options = parser.parse_args()

    rows = json.loads(options.calibration.read_text())
    config = AutoQuantizationConfig.avx512_vnni(
        is_static=True,
        per_channel=True,
        operators_to_quantize=["MatMul", "Gemm", "Gather"] if options.operators == "products" else None,
    )
    quantizer = ORTQuantizer.from_pretrained(options.fp32, file_name="model.onnx")
    ranges = quantizer.fit(
        dataset=rows,
        calibration_config=CalibrationConfig("sst2", "", "train", len(rows), CalibrationMethod.MinMax),
        onnx_augmented_model_name=str(options.out / "augmented.onnx"),
        operators_to_quantize=config.operators_to_quantize,
    )
    (options.out / "augmented.onnx").unlink(missing_ok=True)
    quantizer.quantize(config, save_dir=options.out, calibration_tensors_range=ranges)


if __name__ == "__main__":
    main()
