"""Quantizes a classifier's graph to int8 for OpenVINO: by NNCF, with fixed ranges from a calibration set.

Every product becomes one of integers but the classifier's head, whose rounding would go straight into the logits; so do the
embedding tables, in the file. OpenVINO makes these real when it opens the file, once.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.onnx import openvino_file
from compress.onnx.fold_transposes import fold
from compress.onnx.graph import Graph
from compress.quantization import exclusion
from compress.quantization.graphs.layers import matches, products, tables
from compress.quantization.int8_settings import Int8Settings
from compress.runtimes.openvino_ import imported, read_model
from compress.runtimes.runtime import declared

INSTALL = "pip install 'compress-transformers[openvino]'"
INTEGERS = ("i8", "u8")


def write(graph: Path, target: Path, rows: Sequence[Any], settings: Int8Settings) -> dict[str, Any]:
    """Write the fp32 ONNX graph, quantized, to `target` (`.xml`).

    Args:
        rows: to calibrate on, name -> [length] each. Each is run by itself, so that no padding is counted.
        settings: `smoothquant_alpha` (0: no smoothing), `exclude`, `embeddings`.

    Returns:
        The facts to report: rows, smoothing, and how many operators OpenVINO runs with integers, by kind.

    Raises:
        CompressError: OpenVINO or NNCF is not installed, or a pattern of `exclude` matches nothing.
    """
    nncf = imported_nncf()
    exclusion.check(settings, [graph])
    model = read_model(graph)
    names = tuple(one.get_any_name() for one in model.inputs)
    feeds = [declared({name: value[None] for name, value in row.items()}, names, "The graph") for row in rows]
    advanced = nncf.AdvancedQuantizationParameters(
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=settings.smoothquant_alpha or -1)
    )
    with _silent():
        made = nncf.quantize(
            model,
            nncf.Dataset(feeds),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(feeds),
            ignored_scope=nncf.IgnoredScope(names=in_floats(graph, settings), validate=False),
            advanced_parameters=advanced,
        )
    openvino_file.write(made, target)
    return {"calibration rows": len(feeds), "kernels": integer_kernels(target)}


def in_floats(graph: Path, settings: Int8Settings) -> list[str]:
    """The operators that are not quantized, as OpenVINO names those of an ONNX graph: heads, and what is excluded."""
    whole = Graph.load(graph)
    fold(whole)
    heads = [f"{node.name}/WithoutBiases" for node in whole.nodes if node.op_type == "Gemm"]
    excluded = [one.node.name for one in products(whole) if matches((one.module, one.node.name), settings.exclude)]
    for table in tables(whole):
        gathers = [node.name for node in table.nodes]
        if not settings.embeddings or matches((table.module, *gathers), settings.exclude):
            excluded += gathers
    return [*heads, *excluded]


def integer_kernels(file: Path) -> dict[str, int]:
    """How many products OpenVINO runs with integers here, by its names of their kinds (`FullyConnected`)."""
    openvino = imported()
    compiled = openvino.Core().compile_model(read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = (
        (_told(one, "layerType"), _told(one, "runtimePrecision")) for one in compiled.get_runtime_model().get_ops()
    )
    return dict(Counter(kind for kind, precision in kinds if kind in PRODUCTS and precision in INTEGERS))


PRODUCTS = ("FullyConnected", "MatMul", "Subgraph", "ScaledDotProductAttention")


def imported_nncf() -> Any:
    """The package `nncf`, which then reports nothing of its use over the network.

    Raises:
        CompressError: it is not installed; with the way to install it.
    """
    os.environ.setdefault("NNCF_CI", "1")  # its one switch that keeps it from reporting; read when it is imported
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise CompressError(f"int8 for OpenVINO needs nncf. Install it: {INSTALL}") from error
    return nncf


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """NNCF draws progress bars on standard output, where answers go, and logs what it does."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _told(operator: Any, name: str) -> str:
    told = operator.get_rt_info()
    return str(told[name].astype(str)) if name in told else ""
