"""What a model is for, by its config: the kind of task of its head, or a base without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, listing
from compress.models.pretrained import raw_config
from compress.tasks import kinds
from compress.tasks.kinds import Kind
from compress.tasks.kinds.laws import Law

MASKED = ("ForMaskedLM", "WithLMHeadModel")
BASES = ("ForPreTraining", "Model", *MASKED)
"""How transformers ends the names of classes whose weights another head can be put on."""


def kind_of(folder: Path) -> Kind | None:
    """The kind of task that the model in a folder does; None for a base, and for a head of a task that is not handled.

    Raises:
        CompressError: the folder's config cannot be read.
    """
    raw = raw_config(folder)
    claimed = kinds.by_config(raw)
    if claimed is not None:
        return claimed
    names = classes(folder, raw)
    if any(name.endswith(MASKED) for name in names):
        return None
    found = kinds.by_head(names)
    if found is not None or any(_task(name) for name in names):
        return found
    return kinds.by_head(["ForConditionalGeneration"]) if raw.get("is_encoder_decoder") else None


def generates(folder: Path) -> bool:
    """Whether the model in a folder generates text."""
    found = kind_of(folder)
    return found is not None and found.generates


def has_encoder(folder: Path) -> bool:
    """Whether the generative model in a folder is an encoder-decoder."""
    found = kind_of(folder)
    return found is not None and found.has_encoder


def classes(folder: Path, raw: Mapping[str, Any]) -> list[str]:
    """The classes of transformers that a model was saved from.

    Raises:
        CompressError: `architectures` is no list of names.
    """
    names = raw.get("architectures")
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CompressError(
            f"`architectures` in {folder / 'config.json'} is {str(names)[:50]}, not a list with the name of the model's class. "
            "Save the model again."
        )
    return names


def trained_kind(folder: Path) -> Kind:
    """The kind of task that the model in a folder was trained for.

    Raises:
        CompressError: it is a base, or for a task that is not handled; says which.
    """
    found = kind_of(folder)
    if found is not None:
        return found
    for name in classes(folder, raw_config(folder)):
        task = _task(name)
        if task:
            raise CompressError(
                f"The model in {folder} is one for {task} ({name}), which compress does not support. It supports {handled()}."
            )
        if name.endswith(MASKED):
            raise CompressError(
                f"The model in {folder} is a masked language model ({name}), a base without a trained classifier. "
                f"Train one on it: compress finetune {folder} --task TASK"
            )
    raise CompressError(f"{folder} has no trained classifier. Train one first: compress finetune {folder} --task TASK")


def handled() -> str:
    """The supported kinds of models, in words."""
    return listing([one.in_words for one in kinds.every()])


def law_in(folder: Path) -> Law:
    """How the answers of the model in a folder, torch or ONNX, are to be read; of a base, those of classes."""
    return (kind_of(folder) or kinds.by_adapter("")).law_of(raw_config(folder))


def kind_of_model(model: Any) -> Kind:
    """The kind of task of an open model; text classification by default."""
    found = kinds.by_config(vars(model.config)) or kinds.by_head([type(model).__name__])
    return found or kinds.by_adapter("")


def law_of_model(model: Any) -> Law:
    """How an open model's answers are to be read."""
    config = {**vars(model.config), "id2label": model.config.id2label, "problem_type": model.config.problem_type}
    return kind_of_model(model).law_of(config)


def _task(name: str) -> str:
    """What a class is for, in words, where that is nothing that is handled: `question answering`, `token classification`.

    >>> _task("BertForQuestionAnswering"), _task("BertForMaskedLM"), _task("BertModel")
    ('question answering', '', '')
    """
    found = re.search(r"For([A-Z]\w*)$", name)
    if found is None or kinds.by_head([name]) is not None or name.endswith(BASES):
        return ""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1]).lower()
