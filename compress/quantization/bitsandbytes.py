"""bitsandbytes' int8 and nf4: a torch checkpoint with quantized linear modules, which transformers opens."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from torch import nn

from compress.core import name_patterns
from compress.core.errors import CompressError
from compress.models.families.matrices import inputs_of, is_linear, outputs_of
from compress.models.generators import generator
from compress.models.kinds import trained_kind
from compress.models.load import classifier
from compress.models.pretrained import needs_bitsandbytes
from compress.quantization.gptq import by_kind, linears

Kind = Literal["int8", "nf4"]
OUTPUTS, INPUTS = 32, 64
"""nf4: what a matrix's outputs and inputs must be multiples of. On others its kernel for CPUs with AVX-512 and bf16 fails at
the first call (0.50), and a checkpoint must run everywhere."""


def quantized(folder: Path, kind: Kind, exclude: Iterable[str] = ()) -> tuple[Any, dict[str, Any]]:
    """The model in a folder with its linear modules in 8 or 4 bits, and the metadata to record.

    int8 multiplies integers, except inputs above 6 (Dettmers et al. 2022, "LLM.int8()"). nf4 stores each weight as one
    of 16 quantiles of the normal distribution with a scale for each 64 (Dettmers et al. 2023, "QLoRA"), and multiplies in
    floating point. Only linear modules of layers change: heads, embeddings, biases and norms stay as they are.

    Args:
        exclude: patterns (as in a shell) of modules' names that stay in floating point.

    Raises:
        CompressError: bitsandbytes is not installed, or nothing is left to quantize.
    """
    needs_bitsandbytes(kind)
    from transformers import BitsAndBytesConfig

    its_kind = trained_kind(folder)
    plain = generator(folder) if its_kind.generates else classifier(folder, its_kind, new_head=False)
    could = {name: module for name, module in linears(plain).items() if kind == "int8" or _fits(module)}
    name_patterns.check(exclude, could, "exclude", "quantized")
    chosen = set(linears(plain, exclude)) & set(could)
    left = sorted(name for name, module in plain.named_modules() if is_linear(module) and name not in chosen)
    if not chosen:
        raise CompressError(
            f"{folder} has no linear module in a layer that bitsandbytes can store as {kind}"
            f"{' (outputs must be multiples of 32, inputs of 64)' if kind == 'nf4' else ''}. "
            "Exclude fewer, or set mode to weights."
        )
    settings: dict[str, Any] = (
        {"load_in_8bit": True}
        if kind == "int8"
        else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": plain.dtype}
    )
    # transformers leaves out what begins or ends with one of these; a whole name does both.
    config = BitsAndBytesConfig(**settings, llm_int8_skip_modules=left)
    del plain
    changes: dict[str, Any] = {"quantization_config": config, "device_map": "cpu"}
    model = (
        generator(folder, **changes) if its_kind.generates else classifier(folder, its_kind, new_head=False, **changes)
    )
    done = [name for name, module in model.named_modules() if type(module).__module__.startswith("bitsandbytes")]
    return model, {"layers_quantized": len(done), "left in floating point": by_kind([*chosen - set(done), *left])}


def _fits(module: nn.Module) -> bool:
    return outputs_of(module) % OUTPUTS == 0 and inputs_of(module) % INPUTS == 0
