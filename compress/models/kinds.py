"""What a model is for, by its config alone: a classifier (or a base to be one), an encoder-decoder, a decoder, or another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from compress.core.errors import CompressError
from compress.models.pretrained import raw_config

Kind = Literal["classifier", "encoder-decoder", "decoder"]

CLASSIFIER = "ForSequenceClassification"
DECODERS = ("ForCausalLM", "LMHeadModel")
ENCODER_DECODERS = ("ForConditionalGeneration", "MTModel")
MASKED = ("ForMaskedLM", "WithLMHeadModel")
BASES = ("ForPreTraining", "Model", *MASKED)
"""How transformers ends the names of classes whose weights another head can be put on."""
HANDLED = "sequence classification, regression, sequence-to-sequence and causal language models"


def kind_of(folder: Path) -> Kind:
    """What the model in a folder is; a base counts as a classifier to be, and so does a model for another task, see `other_task`.

    Raises:
        CompressError: the folder's config cannot be read, or it is that of a model with several labels at once.
    """
    raw = raw_config(folder)
    check_handled(folder, raw)
    names = classes(folder, raw)
    if any(name.endswith(MASKED) for name in names):
        return "classifier"
    if any(name.endswith(DECODERS) for name in names):
        return "decoder"
    if any(name.endswith(ENCODER_DECODERS) for name in names):
        return "encoder-decoder"
    has_head = any(name.endswith(CLASSIFIER) or _task(name) for name in names)
    return "encoder-decoder" if raw.get("is_encoder_decoder") and not has_head else "classifier"


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


def has_classifier(folder: Path, raw: Mapping[str, Any]) -> bool:
    """Whether the weights are said to hold a trained head for sequences."""
    return any(CLASSIFIER in name for name in classes(folder, raw))


def check_trained(folder: Path) -> None:
    """Whether the model in a folder, which is no generative one, is a trained classifier by its config.

    Raises:
        CompressError: it is for another task, or a base; says which.
    """
    raw = raw_config(folder)
    if has_classifier(folder, raw):
        return
    for name in classes(folder, raw):
        task = _task(name)
        if task:
            raise CompressError(
                f"The model in {folder} is one for {task} ({name}), which compress does not handle. It handles {HANDLED}."
            )
        if name.endswith(MASKED):
            raise CompressError(
                f"The model in {folder} is a masked language model ({name}), a base without a trained classifier. "
                f"Train one on it: compress finetune {folder} --task TASK"
            )
    raise CompressError(f"{folder} has no trained classifier. Train one first: compress finetune {folder} --task TASK")


def check_handled(folder: Path, raw: Mapping[str, Any]) -> None:
    """Raises a CompressError where several labels may be right at once: softmax and accuracy would say something else."""
    if raw.get("problem_type") == "multi_label_classification":
        raise CompressError(
            f"The model in {folder} gives several labels at once (problem_type: multi_label_classification), which compress "
            f"does not handle. It handles {HANDLED}."
        )


def _task(name: str) -> str:
    """What a class is for, in words, where that is nothing that is handled: `question answering`, `token classification`.

    >>> _task("BertForQuestionAnswering"), _task("BertForMaskedLM"), _task("BertModel")
    ('question answering', '', '')
    """
    found = re.search(r"For([A-Z]\w*)$", name)
    if found is None or name.endswith((CLASSIFIER, *DECODERS, *ENCODER_DECODERS, *BASES)):
        return ""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1]).lower()
