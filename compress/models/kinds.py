"""What a model is for, by its config alone: the kind of task of its head, or a base on which a head can be put."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, listing
from compress.models.pretrained import raw_config
from compress.tasks import kinds
from compress.tasks.kinds import Kind
from compress.tasks.kinds.laws import NUMBER, Law

MASKED = ("ForMaskedLM", "WithLMHeadModel")
BASES = ("ForPreTraining", "Model", *MASKED)
"""How transformers ends the names of classes whose weights another head can be put on."""


def kind_of(folder: Path) -> Kind | None:
    """The kind of task that the model in a folder does; None for a base, and for a head of a task that is not handled.

    Raises:
        CompressError: the folder's config cannot be read.
    """
    raw = raw_config(folder)
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
                f"The model in {folder} is one for {task} ({name}), which compress does not handle. It handles {handled()}."
            )
        if name.endswith(MASKED):
            raise CompressError(
                f"The model in {folder} is a masked language model ({name}), a base without a trained classifier. "
                f"Train one on it: compress finetune {folder} --task TASK"
            )
    raise CompressError(f"{folder} has no trained classifier. Train one first: compress finetune {folder} --task TASK")


def handled() -> str:
    """The kinds of models that are handled, in words."""
    return listing([one.in_words for one in kinds.every()])


def law_of(kind: Kind, raw: Mapping[str, Any]) -> Law:
    """How a trained model's answers are to be read, by its config's `problem_type`.

    Args:
        kind: the model's.
        raw: its `config.json`. Where it says nothing, one output is a number and several are classes, as transformers has it.
    """
    said = raw.get("problem_type")
    for task, problem in kind.problem_types.items():
        if said == problem:
            return kind.laws[task]
    outputs = len(raw.get("id2label") or ()) or raw.get("num_labels", 2)
    return NUMBER if NUMBER in kind.laws.values() and outputs == 1 else next(iter(kind.laws.values()))


def law_in(folder: Path) -> Law:
    """The same of the model in a folder, torch or ONNX, by the config beside it; of a base, that of classes."""
    return law_of(kind_of(folder) or kinds.by_adapter(""), raw_config(folder))


def law_of_model(model: Any) -> Law:
    """The same of an open model."""
    kind = kinds.by_head([type(model).__name__])
    return law_of(
        kind or kinds.by_adapter(""), {"id2label": model.config.id2label, "problem_type": model.config.problem_type}
    )


def _task(name: str) -> str:
    """What a class is for, in words, where that is nothing that is handled: `question answering`, `token classification`.

    >>> _task("BertForQuestionAnswering"), _task("BertForMaskedLM"), _task("BertModel")
    ('question answering', '', '')
    """
    found = re.search(r"For([A-Z]\w*)$", name)
    if found is None or kinds.by_head([name]) is not None or name.endswith(BASES):
        return ""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1]).lower()
