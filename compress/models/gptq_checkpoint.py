"""Reads GPTQ checkpoints without a library for quantized inference.

`compress.quantization.gptq_checkpoint` writes it, and says what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from compress.core.errors import CompressError

WORD = 32


PARTS = ("qweight", "qzeros", "scales", "g_idx")


def unpack(parts: Mapping[str, Tensor], bits: int, *, second_version: bool) -> Tensor:
    """The weight that the four tensors encode, float32 [outputs, inputs], for any order of inputs in blocks."""
    largest = 2**bits - 1
    integers = _unpacked(parts["qweight"].T, bits).float()
    stored = _unpacked(parts["qzeros"], bits)
    zero_point = (stored + (0 if second_version else 1)) & largest
    place = parts["g_idx"].long()
    scale = parts["scales"].float()[place].T
    return (integers - zero_point.float()[place].T) * scale


def is_described(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is that of a GPTQ checkpoint."""
    return (config.get("quantization_config") or {}).get("quant_method") == "gptq"


def fill_(model: Any, files: Sequence[Path], config: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Fills a float model with the dequantized weights of a checkpoint, for machines without a library for quantized inference.

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


def _unpacked(words: Tensor, bits: int) -> Tensor:
    """int32 [rows, words] -> int32 [rows, words * 32 / bits]."""
    shifts = torch.arange(WORD // bits, device=words.device, dtype=torch.int32) * bits
    return ((words.int()[..., None] >> shifts) & (2**bits - 1)).flatten(1)
