"""Who takes part: each contestant, the environment it is made in, and the exact command that makes its ONNX file.

Words in braces are filled in by `make.py`: {python} and {bin} of the contestant's environment, {teacher}, {fp32} (the
folder of Optimum's fp32 export), {out} (where to write), {scratch} (thrown away afterwards), {calibration} (the
tokenised calibration rows), {recipes} (the scripts beside this file), {heads} and {width} of the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass

BASELINE = "optimum-fp32"


@dataclass(frozen=True)
class Contestant:
    """One ONNX file to be made: by what, how, and which file of those written is the model."""

    name: str
    environment: str  # names requirements/<environment>.txt
    command: tuple[str, ...]
    writes: str  # the model's path inside {out}
    summary: str
    config: str | None = None  # a JSON template among the recipes, filled in and given as {config}
    needs: str | None = None  # the contestant whose file this one starts from


_INT8 = ("--precision", "int8")


def _onnxruntime(name: str, graph: str, weights: str, summary: str) -> Contestant:
    command = ("{python}", "{recipes}/onnxruntime_dynamic.py", "{fp32}/model.onnx", "{out}")
    options = ("--heads", "{heads}", "--width", "{width}", "--graph", graph, "--weights", weights)
    return Contestant(name, "onnxruntime", command + options, "model.onnx", summary, needs=BASELINE)


def _optimum_export(name: str, options: tuple[str, ...], summary: str) -> Contestant:
    command = ("{bin}/optimum-cli", "export", "onnx", "--model", "{teacher}", "--task", "text-classification")
    return Contestant(name, "optimum", (*command, *options, "{out}"), "model.onnx", summary)


def _optimum_dynamic(name: str, options: tuple[str, ...], summary: str) -> Contestant:
    command = ("{bin}/optimum-cli", "onnxruntime", "quantize", "--onnx_model", "{fp32}", "--avx512_vnni", *options)
    return Contestant(name, "optimum", (*command, "-o", "{out}"), "model_quantized.onnx", summary, needs=BASELINE)


def _optimum_static(name: str, operators: str, summary: str) -> Contestant:
    command = ("{python}", "{recipes}/optimum_static.py", "{fp32}", "{out}", "--calibration", "{calibration}")
    full = (*command, "--operators", operators)
    return Contestant(name, "optimum", full, "model_quantized.onnx", summary, needs=BASELINE)


CONTESTANTS = (
    _optimum_export(BASELINE, (), "optimum export, fp32"),
    _optimum_export("optimum-o2", ("--optimize", "O2"), "optimum export, `--optimize O2`, fp32"),
    _optimum_dynamic("optimum-dynamic-channel", ("--per_channel",), "optimum dynamic, per channel"),
    _optimum_dynamic("optimum-dynamic-tensor", (), "optimum dynamic, per tensor"),
    _onnxruntime("ort-dynamic-int8", "all", "int8", "raw ONNX Runtime, all fusions, dynamic, int8 per channel"),
    _onnxruntime("ort-dynamic-uint8", "all", "uint8", "raw ONNX Runtime, all fusions, dynamic, uint8 per channel"),
    _onnxruntime(
        "ort-dynamic-fastest",
        "fastest",
        "int8",
        "raw ONNX Runtime, Attention and BiasGelu fused, no SkipLayerNorm, no EmbedLayerNorm; dynamic, int8 per channel",
    ),
    Contestant(
        "olive-dynamic",
        "olive",
        ("{bin}/olive", "run", "--config", "{config}"),
        "model.onnx",
        "Olive `run`, dynamic",
        config="olive_dynamic.json",
    ),
    Contestant(
        "olive-auto-opt",
        "olive",
        ("{bin}/olive", "auto-opt", "-m", "{teacher}", "-o", "{out}", "--task", "text-classification", *_INT8),
        "model.onnx",
        "Olive `auto-opt --precision int8`",
    ),
    Contestant(
        "transformers-dynamic",
        "transformers",
        ("{python}", "{recipes}/transformers_dynamic.py", "{teacher}", "{out}"),
        "one-file.onnx",
        "transformers.exporters' quantizer, dynamic",
    ),
    _optimum_static("optimum-static-channel", "preset", "optimum static per channel, its preset operators"),
    _optimum_static("optimum-static-products", "products", "optimum static per channel, MatMul/Gemm/Gather"),
    Contestant(
        "nncf-transformer",
        "nncf",
        ("{python}", "{recipes}/nncf_static.py", "{fp32}/model.onnx", "{out}", "--calibration", "{calibration}"),
        "model.onnx",
        "NNCF static, transformer preset",
        needs=BASELINE,
    ),
)
