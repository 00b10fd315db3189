"""Fuses a BERT graph with ONNX Runtime's optimizer and quantizes it dynamically, with nothing but ONNX Runtime.

Runs in the `onnxruntime` environment. `--graph all` keeps every fusion of the optimizer; `--graph fastest` keeps
Attention and BiasGelu (and plain LayerNorm) but neither SkipLayerNorm nor EmbedLayerNorm, the fastest graph seen.
"""

from __future__ import annotations

import argparse
import collections
import tempfile
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model


def main() -> None:
    """Writes `model.onnx` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fp32", help="the exported fp32 model")
    parser.add_argument("out", type=Path, help="folder for model.onnx")
    parser.add_argument("--heads", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--graph", choices=["all", "fastest"], default="all")
    parser.add_argument("--weights", choices=["int8", "uint8"], default="int8")
    options = parser.parse_args()

    fusions = FusionOptions("bert")
    if options.graph == "fastest":
        fusions.enable_skip_layer_norm = False
        fusions.enable_bias_skip_layer_norm = False
        fusions.enable_embed_layer_norm = False
    fused = optimize_model(
        options.fp32,
        "bert",
        num_heads=options.heads,
        hidden_size=options.width,
        opt_level=1,
        optimization_options=fusions,
    )
    print("operators after fusion:", dict(collections.Counter(node.op_type for node in fused.model.graph.node)))
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "fused.onnx"
        fused.save_model_to_file(str(graph))
        quantize_dynamic(
            graph,
            options.out / "model.onnx",
            weight_type=QuantType.QInt8 if options.weights == "int8" else QuantType.QUInt8,
            per_channel=True,
            # Shape inference knows no type for what the fused operators give; ONNX Runtime's own error proposes this.
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )


if __name__ == "__main__":
    main()
