"""GPTQ's checkpoint format, which transformers (with optimum), GPTQModel and vLLM read; written here without any of them.

Of each linear module, instead of `weight` [outputs, inputs]: `qweight` int32 [inputs * bits / 32, outputs] (the integers of
neighbouring inputs, the first lowest), `qzeros` int32 [blocks, outputs * bits / 32] (zero points of neighbouring outputs),
`scales` fp16 [blocks, outputs] and `g_idx` int32 [inputs] (each input's block). The first version of the format stores zero
points less one, and readers add it to whole words; so zero points that may be 0 need the second, `gptq_v2`, which stores them
as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compress.core import name_patterns
from compress.core.errors import CompressError
from compress.models.families.matrices import weight_of
from compress.models.gptq_checkpoint import WORD
from compress.quantization.blocks import BlockWeight, Grid
from compress.quantization.gptq import IN_LAYER, linears

MULTIPLE = 32
"""Of the outputs and inputs that each matrix must have: what readers' packing and kernels take."""


def check_widths(model: nn.Module, exclude: Iterable[str] = ()) -> list[str]:
    """The modules that a checkpoint of a decoder holds as integers.

    Raises:
        CompressError: one has widths that the format cannot hold, layers would differ in what is excluded, or nothing is left.
    """
    name_patterns.check(exclude, linears(model), "exclude", "quantized")
    chosen = linears(model, exclude)
    for name, module in chosen.items():
        outputs, inputs = weight_of(module).shape
        if outputs % MULTIPLE or inputs % MULTIPLE:
            raise CompressError(
                f"{name} has {outputs} outputs and {inputs} inputs, and a GPTQ checkpoint holds multiples of {MULTIPLE} only. "
                f"Leave such modules in floating point (exclude: '*.{name.rpartition('.')[2]}'), or set mode to weights."
            )
    if not chosen:
        raise CompressError("No linear module is left to quantize. Exclude fewer.")
    for kind in {_within_layer(name) for name in chosen}:
        uneven = [name for name in linears(model) if _within_layer(name) == kind and name not in chosen]
        if uneven:
            raise CompressError(
                f"{uneven[0]} is excluded, but {kind} of other layers is not, which a GPTQ checkpoint cannot say. "
                f"Exclude '*.{kind}' in all layers, or in none."
            )
    return list(chosen)


def pack(weight: BlockWeight) -> dict[str, Tensor]:
    """The four tensors of one matrix."""
    bits, block = weight.grid.bits, weight.grid.block
    outputs, inputs = weight.integers.shape
    if outputs % MULTIPLE or inputs % MULTIPLE:
        raise CompressError(f"A matrix of {outputs} x {inputs} fits no GPTQ checkpoint: multiples of {MULTIPLE} do.")
    stored_zero = weight.zero_point.int() - (1 if weight.grid.symmetric else 0)
    return {
        "qweight": _words(weight.integers.int(), bits).T.contiguous(),
        "qzeros": _words(stored_zero.T, bits).contiguous(),
        "scales": weight.scale.T.half().contiguous(),
        "g_idx": torch.arange(inputs, dtype=torch.int32) // block,
    }


def write(model: Any, weights: Mapping[str, BlockWeight], folder: Path, *, act_order: bool = False) -> None:
    """Save a decoder with these matrices as integers, and everything else in 16 bits, to `folder`.

    `config.json` says what was done; `quantize_config.json` says it again, for GPTQModel and its predecessors.
    """
    grid = next(iter(weights.values())).grid
    state = {name: value.detach().half() for name, value in model.state_dict().items()}
    for name, weight in weights.items():
        del state[f"{name}.weight"]
        state |= {f"{name}.{part}": value for part, value in pack(weight).items()}
    model.config.quantization_config = _described(model, weights, grid, act_order)
    model.config.dtype = torch.float16
    try:
        model.save_pretrained(folder, state_dict=state)
    finally:
        del model.config.quantization_config
    (folder / "quantize_config.json").write_text(json.dumps(_described(model, weights, grid, act_order), indent=2))


def _described(model: Any, weights: Mapping[str, BlockWeight], grid: Grid, act_order: bool) -> dict[str, Any]:
    form = "gptq" if grid.symmetric else "gptq_v2"
    left = sorted({_within_layer(name) for name in linears(model)} - {_within_layer(name) for name in weights})
    told: dict[str, Any] = {
        "quant_method": "gptq",
        "bits": grid.bits,
        "group_size": grid.block,
        "sym": grid.symmetric,
        "desc_act": False,  # by act_order too, blocks are of neighbours
        "static_groups": act_order,
        "damp_percent": 0.01,
        "true_sequential": False,
        "lm_head": False,
        "checkpoint_format": form,
        "format": form,
        "pack_dtype": "int32",
        "meta": {"quantizer": ["compress-transformers"]},
    }
    if left:
        told["modules_in_block_to_quantize"] = [sorted({_within_layer(name) for name in weights})]
        told["dynamic"] = {rf"-:.*\.{re.escape(name)}$": {} for name in left}
    return told


def _within_layer(name: str) -> str:
    found = IN_LAYER.match(name)
    return name[found.end() :] if found else name


def _words(values: Tensor, bits: int) -> Tensor:
    """int32 [rows, values] -> int32 [rows, values * bits / 32]: the first value in the lowest bits."""
    count = WORD // bits
    grouped = (values.long() & (2**bits - 1)).unflatten(1, (-1, count))
    words = (grouped << (torch.arange(count, device=values.device) * bits)).sum(dim=-1)
    return torch.where(words >= 2**31, words - 2**32, words).int()
