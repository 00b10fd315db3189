"""Opens a transformers model and compares its file's tensors with its class's: nothing is silently dropped or initialized.

transformers drops tensors that a class does not have, and initializes those that a file lacks. Only a head may differ:
a file may have another task's head, and lack the one that will be trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.core.model_files import ADAPTER
from compress.core.progress import warn
from compress.models.families.plain_computation import attention_anywhere, compute_plainly_
from compress.models.finite_weights import check_finite
from compress.models.pretrained import quiet, raw_config, trusts_remote_code, why_not
from compress.models.stored_tensors import check_types
from compress.models.weight_files import weights

OF_ADAPTERS = re.compile(r"\.(lora_\w+|base_layer|modules_to_save|original_module|ia3_l)(\.|$)")
"""In names of tensors: a model that was saved while an adapter was on it (PEFT)."""
NO_WEIGHTS = re.compile(r"(^|\.)(position_ids|token_type_ids|masked_bias|inv_freq|version)$|embed_positions\.weights$")
"""Buffers that older versions stored and newer ones compute."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Opened:
    """A model in evaluation mode, in the precision it was saved in."""

    model: Any
    missing: tuple[str, ...]
    """The tensors of its head that its file lacks: they have random values."""
    reshaped: Mapping[str, tuple[Shape, Shape]]
    """Those that its file holds in another shape: (in the file, in the model). They have random values too."""


def opened(
    folder: Path,
    opener: Any,
    *,
    kind: Any = None,
    merges_adapter: bool = False,
    reports: bool = True,
    **changes: Any,
) -> Opened:
    """The model in a folder: safetensors only, no remote code unless asked for.

    Args:
        opener: a class of transformers with `from_pretrained`.
        kind: the class that the model is given afterwards, where `opener` only makes it.
        merges_adapter: whether an adapter in the folder is dealt with by the caller.
        reports: whether to log a dropped head.
        changes: of the config, or further arguments of `from_pretrained`.

    Raises:
        CompressError: the body of the model lacks tensors, has others than its class, or has them in other shapes or types; a
            value is NaN or infinite; there is an adapter beside the weights; or transformers cannot open it.
    """
    _check_folder(folder, merges_adapter)
    files = weights(folder)
    check_finite(files)
    with quiet():
        try:
            model, told = opener.from_pretrained(
                folder,
                **{
                    "use_safetensors": True,
                    "trust_remote_code": trusts_remote_code(),
                    "output_loading_info": True,
                    "ignore_mismatched_sizes": True,  # they are judged here, with names
                    "adapter_kwargs": {"subfolder": "none"},  # transformers would apply one in the folder
                    "dtype": "auto",
                    **attention_anywhere(raw_config(folder)),
                    **changes,
                },
            )
        except CompressError:
            raise
        except Exception as error:
            raise CompressError(_why_not(folder, error)) from error
    if kind is not None:
        model.__class__ = kind
    check_types(folder, files, model)
    found = compared(folder, compute_plainly_(model).eval(), told, reports=reports)
    if reports:
        _report_buffers(folder, files, model)
    return found


def compared(folder: Path, model: Any, told: Mapping[str, Any], *, reports: bool = True) -> Opened:
    """The model, and how its head differs from the file's; a difference in the body is an error.

    Args:
        told: transformers' `missing_keys`, `unexpected_keys` and `mismatched_keys` (name, shape in the file, in the model).

    Raises:
        CompressError: see `opened`.
    """
    raw = raw_config(folder)
    base = model.base_model
    inside = {name for name, _ in [*base.named_children(), *base.named_parameters(recurse=False)]}

    def in_body(name: str) -> bool:
        first = name.removeprefix(f"{model.base_model_prefix}.").split(".", 1)[0]
        return first in inside and "pooler" not in name

    unexpected = sorted(name for name in told["unexpected_keys"] if not NO_WEIGHTS.search(name))
    adapters = [name for name in unexpected if OF_ADAPTERS.search(name)]
    if adapters:
        raise CompressError(
            f"The weights in {folder} hold an adapter that was not merged: {_some(adapters)}. Merge it first "
            "(`merge_and_unload` in PEFT), or save it separately and use `compress import BASE --adapter FOLDER`."
        )
    strange = [name for name in unexpected if in_body(name)]
    if strange:
        raise CompressError(
            f"The weights in {folder} hold tensors that {type(model).__name__} does not have with this config: "
            f"{_some(strange)}. Without them it would be another model. {_what_to_do(strange, raw)}"
        )
    mismatched = {name: (tuple(held), tuple(wanted)) for name, held, wanted in told["mismatched_keys"]}
    wrong = sorted(name for name in mismatched if in_body(name))
    if wrong:
        held, wanted = mismatched[wrong[0]]
        raise CompressError(
            f"{wrong[0]} in {folder} has the shape {_shape(held)}, but the config makes it {_shape(wanted)}"
            f"{_so_do(wrong)}. {_reason(raw, wrong[0])}"
        )
    missing = sorted(name for name in told["missing_keys"] if not NO_WEIGHTS.search(name))
    lacking = [name for name in missing if in_body(name)]
    if lacking:
        instead = f", but hold {unexpected[0]}" if unexpected else ""
        raise CompressError(
            f"The weights in {folder} lack {len(lacking)} of the model's tensors ({lacking[0]}, ...){instead}. "
            "Save the model again."
        )
    if unexpected and reports:
        warn(
            f"{folder.name}: {_some(unexpected)} in its weights belong to a head that "
            f"{type(model).__name__} does not have, and are dropped."
        )
    return Opened(model, tuple(missing), mismatched)


def _report_buffers(folder: Path, files: Iterable[Path], model: Any) -> None:
    """Report dropped buffers that transformers does not list as weights: old position ids, masks."""
    from safetensors import safe_open

    patterns = [NO_WEIGHTS, *map(re.compile, model._keys_to_ignore_on_load_unexpected or ())]
    own, body = model.state_dict().keys(), f"{model.base_model_prefix}."
    left = set()
    for file in files:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="np") as tensors:
                names = [name for name in tensors.keys() if any(one.search(name) for one in patterns)]  # noqa: SIM118 - no mapping
            left |= {name for name in names if not {name, body + name, name.removeprefix(body)} & own}
    if left:
        warn(
            f"{folder.name}: {_some(sorted(left))} in its weights are buffers that transformers computes, and are dropped."
        )


def _check_folder(folder: Path, merges_adapter: bool) -> None:
    if (folder / ADAPTER).is_file() and not merges_adapter:
        raise CompressError(
            f"{folder} holds a whole model and an adapter ({ADAPTER}), and nothing says whether the adapter is merged "
            f"already. If it is, remove {ADAPTER}; if not: compress import {folder} --adapter {folder} -o MERGED"
        )


def _so_do(names: list[str]) -> str:
    return f" (and so with {len(names) - 1} more)" if len(names) > 1 else ""


def _some(names: list[str]) -> str:
    return f"{names[0]}{_more(names)}"


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _what_to_do(names: list[str], raw: Mapping[str, Any]) -> str:
    """What to do about tensors that are too many."""
    if any("distance_embedding" in name for name in names):
        return (
            f"They are its relative positions (position_embedding_type: {raw.get('position_embedding_type')}), which "
            "transformers 5 no longer computes. Choose a model with absolute positions."
        )
    for setting in ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers"):
        if isinstance(raw.get(setting), int) and re.search(rf"\.{raw[setting]}\.", names[0]):
            return f"config.json counts {setting} {raw[setting]}: take the config that was saved with these weights."
    return "Use the config, and the version of transformers, that the weights were saved with."


def _reason(raw: Mapping[str, Any], name: str) -> str:
    if raw.get("pruned_heads"):
        return (
            "Its heads were removed by transformers 4 (pruned_heads in config.json), which transformers 5 cannot read. "
            "Start from the unpruned model: compress prune --method structured removes heads."
        )
    if "embed" in name and "position" not in name:
        return "Tokens were probably added or removed: correct the config (vocab_size), or save the model again."
    return "Use the config that was saved with these weights."


def _why_not(folder: Path, error: Exception) -> str:
    if "above report" in str(error):  # which is on no screen
        return (
            f"The weights in {folder} cannot be converted to the form that transformers 5 uses. Save the model again."
        )
    return why_not(folder, error)
