"""GPTQ's checkpoint format, which transformers (with optimum), GPTQModel and vLLM open: written, and read without any of them.

Of each linear module, instead of `weight` [outputs, inputs]: `qweight` int32 [inputs * bits / 32, outputs] (the integers of
neighbouring inputs, the first lowest), `qzeros` int32 [blocks, outputs * bits / 32] (zero points of neighbouring outputs),
`scales` fp16 [blocks, outputs] and `g_idx` int32 [inputs] (each input's block). The first version of the format stores zero
points less one, and readers add it to whole words; so zero points that may be 0 need the second, `gptq_v2`, which stores them
as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from compress import name_patterns
from compress.architectures.matrices import weight_of
from compress.errors import CompressError
from compress.quantization.blocks import BlockWeight, Grid
from compress.quantization.gptq import IN_LAYER, linears

WORD = 32
PARTS = ("qweight", "qzeros", "scales", "g_idx")
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


def unpack(parts: Mapping[str, Tensor], bits: int, *, second_version: bool) -> Tensor:
    """The weight that the four tensors stand for, float32 [outputs, inputs], in whatever order inputs are in blocks."""
    largest = 2**bits - 1
    integers = _unpacked(parts["qweight"].T, bits).float()
    stored = _unpacked(parts["qzeros"], bits)
    zero_point = (stored + (0 if second_version else 1)) & largest
    place = parts["g_idx"].long()
    scale = parts["scales"].float()[place].T
    return (integers - zero_point.float()[place].T) * scale


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


def is_described(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is that of a GPTQ checkpoint."""
    return (config.get("quantization_config") or {}).get("quant_method") == "gptq"


def fill_(model: Any, files: Sequence[Path], config: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Gives a float model the weights of a checkpoint, dequantized: for machines without a library that computes with integers.

    Args:
        model: of the checkpoint's config, in fp32.
        files: the checkpoint's weights.
        config: the checkpoint's `config.json`.

    Returns:
        `missing_keys`, `unexpected_keys` and `mismatched_keys` (name, shape in the file, in the model), as transformers tells
        them.

    Raises:
        CompressError: the file says less than it must.
    """
    told = config["quantization_config"]
    try:
        bits = int(told["bits"])
        second = told.get("checkpoint_format", told.get("format", "gptq")) == "gptq_v2"
    except (KeyError, TypeError, ValueError) as error:
        raise CompressError(
            f"{files[0].parent / 'config.json'} does not say how its weights were quantized ({error}). Save the model again."
        ) from error
    state: dict[str, Tensor] = {}
    for file in files:
        if file.suffix == ".safetensors":
            state |= load_file(file)
    for name in [name.removesuffix(".qweight") for name in state if name.endswith(".qweight")]:
        try:
            parts = {part: state.pop(f"{name}.{part}") for part in PARTS}
        except KeyError as error:
            raise CompressError(
                f"{files[0].parent} lacks the tensor {error} of a quantized matrix. Save the model again."
            ) from error
        weight = unpack(parts, bits, second_version=second)
        state[f"{name}.weight"] = weight.T if isinstance(model.get_submodule(name), Conv1D) else weight
    own = model.state_dict()
    mismatched = [
        (name, value.shape, own[name].shape)
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    for name, _, _ in mismatched:
        del state[name]
    left = model.load_state_dict(state, strict=False)
    model.tie_weights()
    missing = set(left.missing_keys) - set(model.all_tied_weights_keys) - {name for name, _, _ in mismatched}
    return {
        "missing_keys": sorted(missing),
        "unexpected_keys": left.unexpected_keys,
        "mismatched_keys": mismatched,
    }


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


def _unpacked(words: Tensor, bits: int) -> Tensor:
    """int32 [rows, words] -> int32 [rows, words * 32 / bits]."""
    shifts = torch.arange(WORD // bits, device=words.device, dtype=torch.int32) * bits
    return ((words.int()[..., None] >> shifts) & (2**bits - 1)).flatten(1)
