"""Merges a LoRA adapter into its base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.core.model_files import ADAPTER, of_tokenizer
from compress.models.finite_weights import check_finite
from compress.models.generators import generator
from compress.models.kinds import kind_of
from compress.models.load import classifier
from compress.models.pretrained import first_line, needs_peft, quiet
from compress.models.tokenizing import tokenizer
from compress.tasks import kinds

WEIGHTS = "adapter_model.safetensors"
ADAPTED = "base_model.model."
"""What PEFT puts before the names of a model's own tensors."""


def merged(base: Path, adapter: Path) -> tuple[Any, Any]:
    """A base model with a LoRA adapter merged into its weights, and its tokenizer.

    Heads and embeddings that the adapter was trained with replace the base's; so does a tokenizer in its folder.

    Raises:
        CompressError: peft is not installed, or the adapter does not fit.
    """
    needs_peft("Merging an adapter")
    from peft import PeftConfig, PeftModel

    if not (adapter / ADAPTER).is_file():
        raise CompressError(f"{adapter} has no {ADAPTER}, so it is not a LoRA adapter. Check --adapter.")
    if not (adapter / WEIGHTS).is_file():
        raise CompressError(f"{adapter} has no {WEIGHTS}. Save the adapter as safetensors first.")
    check_finite([adapter / WEIGHTS])
    try:
        task_type = str(getattr(PeftConfig.from_pretrained(str(adapter)), "task_type", None) or "")
        shapes = _shapes(adapter)
        labels = _labels(shapes)
        changes: dict[str, Any] = {"num_labels": labels} if labels else {}
        kind = kind_of(base)
        if kind is not None and kind.generates and not labels:
            model = generator(base, merges_adapter=True)
        else:
            model = classifier(base, kinds.by_adapter(task_type), merges_adapter=True, **changes)
        its_tokenizer = tokenizer(adapter if of_tokenizer(adapter) else base)
        _resize_(model, shapes, its_tokenizer, adapter)
        with quiet():
            whole = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
    except CompressError:
        raise
    except Exception as error:
        raise CompressError(f"The adapter in {adapter} does not fit {base}: {_reason(error)}.") from error
    _part_what_differs_(whole)
    return whole, its_tokenizer


def _resize_(model: Any, shapes: Mapping[str, tuple[int, ...]], its_tokenizer: Any, adapter: Path) -> None:
    """Resize the embeddings to the adapter's number; the adapter has their values."""
    modules = dict(model.named_modules())
    rows = model.get_input_embeddings().weight.shape[0]
    for one in (model.get_input_embeddings(), model.get_output_embeddings()):
        names = [name for name, module in modules.items() if module is one and one is not None]
        held = next((shapes[key] for name in names if (key := f"{ADAPTED}{name}.weight") in shapes), None)
        if held is not None and held[0] != rows:
            model.resize_token_embeddings(held[0], mean_resizing=False)
            return
    largest = max(its_tokenizer.get_vocab().values())
    if largest >= rows:
        raise CompressError(
            f"The tokenizer in {adapter} has the token id {largest}, but the base model has {rows} embeddings, and the "
            "adapter has none. Save the adapter with its embeddings (PEFT: save_embedding_layers=True)."
        )


def _part_what_differs_(model: Any) -> None:
    """Unties head and embeddings if the adapter trained only one of the two."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and getattr(model.config, "tie_word_embeddings", False) and head.weight is not table.weight:
        import torch

        if not torch.equal(head.weight, table.weight):
            model.config.tie_word_embeddings = False


def _shapes(adapter: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    with safe_open(adapter / WEIGHTS, framework="np") as tensors:
        return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 - no mapping


def _labels(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """The number of labels of the adapter's classification head; None without one."""
    heads = [name for name in shapes if name.endswith((".classifier.weight", ".out_proj.weight", ".score.weight"))]
    return shapes[heads[-1]][0] if heads else None


def _reason(error: Exception) -> str:
    """The first line that names a tensor."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "size mismatch" in line or "shape" in line), first_line(error)).rstrip(".")
