"""Finds tensors that transformers would silently replace: integers in place of floats, two tensors of one name.

transformers casts whatever a file holds to the model's precision, and takes one of two tensors of one name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types whose values are the weights themselves; integers, truth values and complex numbers are not."""


def check_types(folder: Path, files: Sequence[Path], model: Any) -> None:
    """Refuse files with tensors that transformers would cast or replace silently.

    Args:
        folder: the model's, for messages.
        files: safetensors files; others are passed over.
        model: as transformers opened it. A model quantized by a library has a `quantization_config`, and its own types.

    Raises:
        CompressError: a tensor is in two files, or a floating-point parameter has another type.
    """
    from safetensors import safe_open

    is_quantized = getattr(model.config, "quantization_config", None) is not None
    floating = {name for name, one in model.named_parameters() if one.is_floating_point()}
    body = f"{model.base_model_prefix}."
    found: dict[str, Path] = {}
    for file in (one for one in files if one.suffix == ".safetensors"):
        with safe_open(file, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - no mapping
                if name in found:
                    raise CompressError(
                        f"{name} is in two files of {folder}, {found[name].name} and {file.name}, so it is unclear "
                        "which one to use. Save the model again, in an empty folder."
                    )
                found[name] = file
                kind = tensors.get_slice(name).get_dtype()
                is_weight = bool({name, body + name, name.removeprefix(body)} & floating)
                if is_weight and not is_quantized and kind not in FLOATS:
                    raise CompressError(
                        f"{name} in {file} has the type {kind}, but weights must be floating-point numbers. If the "
                        "model was quantized, its config.json lacks the `quantization_config` that describes it: use the model "
                        "from which it was quantized."
                    )
