"""Weight-only quantization: writes MatMulNBits graphs, GPTQ checkpoints, or bitsandbytes models from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.data import calibration
from compress.data.model_rows import unpadded_batches
from compress.models.load import generates, load, quiet, save, tokenizer
from compress.onnx.fold_transposes import fold
from compress.onnx.graph import Graph
from compress.quantization.blocks import BlockWeight, Grid
from compress.quantization.graphs.layers import products
from compress.quantization.graphs.matmul_nbits import WeightOnly, quantize_weights
from compress.quantization.quantize_settings import Quantize
from compress.quantization.weight_settings import WeightSettings
from compress.tasks.task import DescribedTask

BATCH = 16
BITS = {"int4": 4, "int8": 8}


def grid_of(settings: WeightSettings, precision: str, *, half_scales: bool = False) -> Grid:
    """The grid of weights from the settings `group_size` and `symmetric`.

    half_scales: for a GPTQ checkpoint, which is symmetric where nothing else is asked for.
    """
    symmetric = half_scales if settings.symmetric is None else settings.symmetric
    return Grid(BITS[precision], settings.group_size, symmetric, half_scales)


def write_blocks(
    settings: Quantize, precision: str, chosen: Mapping[str, BlockWeight], _part: str, graph: Path, target: Path
) -> dict[str, Any]:
    """Write one fp32 graph with its weights in blocks; the facts to report.

    Args:
        chosen: `calibrated`'s integers; other weights are rounded to nearest.
    """
    whole = WeightOnly(
        grid_of(settings, precision), settings.embeddings, settings.exclude, settings.accuracy_level == 4
    )
    done = quantize_weights(graph, target, whole, chosen)
    counts = {kind: list(done.values()).count(kind) for kind in dict.fromkeys(done.values())}
    return {"weights": counts, "bits": whole.grid.bits, "block": whole.grid.block}


def calibrated(
    source: Artifact, graphs: Mapping[str, Path], chosen: Mapping[str, str], task: DescribedTask, settings: Quantize
) -> tuple[dict[str, BlockWeight], dict[str, Any]]:
    """GPTQ's integers for the weights that a torch artifact and its graphs have in common, and the metadata to record.

    A weight that the graph has in another form than torch is rounded to nearest when it is written.

    Args:
        graphs: the source's fp32 export, by part.
        chosen: the parts' precisions; integers are made for the parts in int4 or int8.
    """
    from compress.models.families.matrices import weight_of
    from compress.quantization.gptq import error_facts, gptq_, linears

    model = load(source).float()
    inside = {name: weight_of(module).detach() for name, module in linears(model, settings.exclude).items()}
    by_precision: dict[str, list[str]] = {}
    for part, path in graphs.items():
        if chosen[part] not in BITS:
            continue
        graph = Graph.load(path)
        fold(graph)
        for product in products(graph, settings.exclude):
            weight = inside.get(product.module)
            if weight is not None and np.array_equal(weight.numpy(), product.weight):
                by_precision.setdefault(chosen[part], []).append(product.module)
    found: dict[str, Any] = {}
    batches = _batches(source, task, settings.calibration, model.config)
    for precision, names in by_precision.items():
        once = [name for name in dict.fromkeys(names) if name not in found]
        found |= gptq_(
            model, batches, grid_of(settings, precision), once, act_order=settings.act_order, told=_log_layers(source)
        )
    if not found:
        raise CompressError(
            f"{source.folder} and its ONNX export have no layer's weight in common, so GPTQ has nothing to choose. "
            "Set rounding to nearest."
        )
    return {name: one.weight for name, one in found.items()}, error_facts(found)


def write_checkpoint(source: Artifact, task: DescribedTask, settings: Quantize, folder: Path) -> dict[str, Any]:
    """Write a decoder as a GPTQ checkpoint; the facts to report."""
    from compress.quantization import gptq_checkpoint
    from compress.quantization.gptq import by_kind, error_facts, gptq_, linears

    model = load(source).float()
    names = gptq_checkpoint.check_widths(model, settings.exclude)
    batches = _batches(source, task, settings.calibration, model.config)
    grid = grid_of(settings, settings.precision, half_scales=True)
    found = gptq_(model, batches, grid, names, act_order=settings.act_order, told=_log_layers(source))
    with quiet():
        gptq_checkpoint.write(
            model, {name: one.weight for name, one in found.items()}, folder, act_order=settings.act_order
        )
    tokenizer(source.folder).save_pretrained(folder)
    left = by_kind(name for name in linears(model) if name not in found)
    return {**error_facts(found), "left in floating point": left, "bits": grid.bits, "block": grid.block}


def write_bitsandbytes(source: Artifact, settings: Quantize, folder: Path) -> dict[str, Any]:
    """Write a torch checkpoint with bitsandbytes' modules; the facts to report."""
    from compress.quantization.bitsandbytes import quantized

    model, told = quantized(source.folder, "nf4" if settings.precision == "nf4" else "int8", settings.exclude)
    save(model, tokenizer(source.folder), folder)
    return told


def _batches(source: Artifact, described: DescribedTask, name: str, config: Any) -> list[dict[str, Any]]:
    """The calibration set's rows without padding, name -> tensor [batch, length]; of a generative model with what it is to write,
    so that the decoder's layers see what they see in use."""
    import torch

    rows = calibration.rows(name, described, tokenizer(source.folder), config, labels=generates(source.folder))
    found = unpadded_batches(rows, BATCH)
    return [{name: torch.from_numpy(values) for name, values in batch.items()} for batch in found]


def _log_layers(source: Artifact) -> Any:
    return lambda layer: say(f"{source.folder.name}: rounding {layer}.")
