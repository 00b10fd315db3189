"""Loads and saves Hugging Face models, mostly classifiers: safetensors only, no remote code unless requested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, is_main_process
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.models import labels
from compress.models.auto_classes import auto_class, unequal_class
from compress.models.generators import generator
from compress.models.kinds import generates, has_encoder, kind_of, trained_kind
from compress.models.opening import Opened, opened
from compress.models.pretrained import (
    config,
    first_line,
    loading_errors,
    needs_peft,
    quiet,
    raw_config,
    trusts_remote_code,
)
from compress.models.sources import DEMO, checkpoint_artifact, resolve_model
from compress.models.tokenizing import tokenizer
from compress.tasks import kinds
from compress.tasks.kinds import Kind
from compress.tasks.task import Task

__all__ = [
    "DEMO",
    "check_kind",
    "check_labels",
    "check_opens",
    "checkpoint_artifact",
    "classifier",
    "config",
    "for_task",
    "from_config",
    "generates",
    "has_encoder",
    "kind_of",
    "load",
    "needs_peft",
    "quiet",
    "resolve_model",
    "save",
    "tokenizer",
    "trusts_remote_code",
]


def load(artifact: Artifact) -> Any:
    """The model of a torch artifact, in evaluation mode, in the precision it was saved in, of the kind that its config says.

    Raises:
        CompressError: the artifact is not a torch one, its weights do not fit its config, or it has no head.
    """
    if artifact.format != "torch":
        raise CompressError(f"{artifact.folder} is an {artifact.format} artifact; this needs a torch one.")
    kind = trained_kind(artifact.folder)
    return generator(artifact.folder) if kind.generates else classifier(artifact.folder, kind, new_head=False)


def check_opens(folder: Path) -> None:
    """Open the torch model in a folder and its tokenizer, as a later command will; a base may have no head yet.

    Raises:
        CompressError: one of the two cannot be opened.
    """
    from transformers import AutoModel

    tokenizer(folder)
    kind = kind_of(folder)
    if kind is None:
        opened(folder, AutoModel, reports=False)
    elif kind.generates:
        generator(folder)
    else:
        labels.of_config(raw_config(folder), folder)
        classifier(folder, kind, new_head=False)


def classifier(folder: Path, kind: Kind | None = None, *, new_head: bool = True, **changes: Any) -> Any:
    """The model in a folder with a head of a kind that generates nothing, in evaluation mode.

    Args:
        kind: of the head; by default its own, and of a base that of a text classifier.
        new_head: initialize the head, with a message, where the checkpoint has none (a base model); else that is an error.
        changes: of the config, or of how it is opened (`compress.models.opening.opened`).

    Raises:
        CompressError: the body's tensors are not those of its class, or the head's are not and `new_head` is False.
    """
    from compress.models.families.cutting import opened_by

    kind = kind or kind_of(folder) or kinds.by_adapter("")
    with loading_errors(folder):
        unequal = unequal_class(folder, kind)
    opener = auto_class(kind) if unequal is None else opened_by(unequal)
    found = opened(folder, opener, kind=unequal, **changes)
    new = len(found.missing) + len(found.reshaped)
    if new and not new_head:
        raise CompressError(_without_head(folder, found))
    if new:
        say(f"{folder.name} has no trained head for this task: {new} of its tensors are newly initialized.")
    return found.model


def _without_head(folder: Path, found: Opened) -> str:
    """Why the head of a classifier is not the one that its weights were trained with."""
    raw = raw_config(folder)
    if found.reshaped:
        name, (held, wanted) = max(found.reshaped.items(), key=lambda one: len(one[1][0]))
        names = f"names {wanted[0]} labels" if raw.get("id2label") else f"names no labels, which makes {wanted[0]}"
        return (
            f"The weights in {folder} have a head with {held[0]} outputs ({name}), but its config.json {names}. "
            f"Correct `id2label` there: it gives each of the {held[0]} outputs its name."
        )
    return (
        f"The weights in {folder} lack {len(found.missing)} tensors of the classifier ({found.missing[0]}, ...). "
        "Save the model again."
    )


def for_task(folder: Path, task: Task, *, seed: int) -> Any:
    """The classifier in a folder with as many outputs as the task has labels, its labels' names in the config; for a
    generative task the generative model, unchanged.

    The rows of a trained head follow their labels' names. A head of as many other labels is newly initialized, with a message.

    Args:
        task: a `compress.tasks.task.Task`.
        seed: for the head where it is newly initialized.
    """
    import torch

    if task.is_generative:
        check_labels(folder, task)
        return generator(folder)
    raw = raw_config(folder)
    torch.manual_seed(seed)
    names = task.label_names or ("score",)
    own = labels.of_config(raw, folder)
    fits = len(own) == task.num_labels and kind_of(folder) is task.of_kind
    places = labels.order(own, task) if fits else None
    problem = task.of_kind.problem_types.get(task.kind)
    model = classifier(
        folder,
        task.of_kind,
        new_head=not fits,
        num_labels=task.num_labels,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        **({"problem_type": problem} if problem else {}),
    )
    if fits and places is None:
        say(
            f"{folder.name} has the labels {labels.shown(own)}, the task {labels.shown(names)}: its head is newly initialized."
        )
        return _with_new_head_(model)
    if places is not None and list(places) != sorted(places):
        say(labels.reordered_message(folder, own, names))
        labels.moved_(model, places, names)
    return model


def is_trained_for(folder: Path, task: Task) -> bool:
    """Whether a classifier has a trained head for the labels of a task."""
    raw = raw_config(folder)
    own = labels.of_config(raw, folder)
    return kind_of(folder) is task.of_kind and len(own) == task.num_labels and labels.order(own, task) is not None


def _with_new_head_(model: Any) -> Any:
    """Newly initializes a classifier's weights outside its body, in place."""
    fresh = type(model)(model.config).state_dict()
    body = f"{model.base_model_prefix}."
    model.load_state_dict({name: value for name, value in fresh.items() if not name.startswith(body)}, strict=False)
    return model


def from_config(file: Path, task: Task) -> Any:
    """A classifier with random weights for a `config.json`, with as many outputs as the task has labels.

    Raises:
        CompressError: the file is no config of such a model.
    """
    from transformers import AutoConfig

    from compress.models.families.cutting import resized_

    names = dict(enumerate(task.label_names)) or {0: "score"}
    try:
        config = AutoConfig.from_pretrained(
            file, num_labels=task.num_labels, id2label=names, label2id={name: index for index, name in names.items()}
        )
        return resized_(auto_class(task.of_kind).from_config(config))
    except Exception as error:
        raise CompressError(
            f"{file} is no config of a model for {task.of_kind.in_words} ({first_line(error)})."
        ) from error


def check_kind(folder: Path, task: Task) -> None:
    """Whether a model is one for a task of its kind. A decoder also does text for text, with a prompt.

    Raises:
        CompressError: it is of another kind.
    """
    kind, wanted = kind_of(folder), task.of_kind
    if wanted.generates:
        if kind is not None and kind.generates and (wanted.has_encoder or not kind.has_encoder):
            return
        is_this = "is an encoder-decoder" if kind is not None and kind.generates else "is not a generative model"
        needed = "an encoder-decoder or a decoder" if wanted.has_encoder else "a decoder (GPT-2, Llama)"
        raise CompressError(
            f"The task {task.name} is {task.kind_in_words}, which needs {needed}; the model in {folder} {is_this}."
        )
    if kind is not None and kind.generates:
        raise CompressError(
            f"The model in {folder} generates text (it is {'an encoder-decoder' if kind.has_encoder else 'a decoder'}), but the "
            f"task {task.name} is a {task.kind_in_words}. Choose the task that it was trained for, as `--task samsum`."
        )
    if trained_kind(folder) is not wanted:
        raise CompressError(
            f"The model in {folder} is one for {trained_kind(folder).in_words}, but the task {task.name} is a "
            f"{task.kind_in_words}. Choose the task that it was trained for."
        )


def check_labels(folder: Path, task: Task, *, is_kept: bool = False) -> None:
    """Whether a trained model is one for its task: of its kind (`check_kind`), and, where the task has labels, with those.

    Args:
        is_kept: the model will be written as it is, so that its labels must be in the task's order already.

    Raises:
        CompressError: it is of another kind, the counts of labels differ, or names do not tell which label is which.
    """
    check_kind(folder, task)
    if task.is_generative:
        return
    raw = raw_config(folder)
    names = labels.of_config(raw, folder)
    _check_law(folder, raw, task)
    if len(names) != task.num_labels:
        raise CompressError(
            f"The model in {folder} has {len(names)} labels ({labels.shown(names)}), but the task {task.name} has "
            f"{task.num_labels}. Choose the task that the model was trained for."
        )
    places = labels.order(names, task)
    if places is None:
        raise labels.refused(folder, names, task)
    if is_kept and list(places) != sorted(places):
        raise CompressError(
            f"The model in {folder} has its labels in the order {labels.shown(names)}, but the task {task.name} has "
            f"{labels.shown(task.label_names)}. Put them in the task's order: `compress import {folder} --task TASK -o DIR`, "
            "and start from that."
        )


def _check_law(folder: Path, raw: Mapping[str, Any], task: Task) -> None:
    """Distinguishes multi-label from single-label models, whose heads look the same."""
    law = task.of_kind.law_of(raw)
    if law.several != task.law.several:
        is_this, wants = (
            "gives any of its labels" if one.several else "gives one of its labels" for one in (law, task.law)
        )
        raise CompressError(
            f"The model in {folder} {is_this} (problem_type in its config.json), and a model for {task.name}, a "
            f"{task.kind_in_words}, {wants}. Choose the task that it was trained for."
        )


def save(model: Any, its_tokenizer: Any, folder: Path) -> None:
    """Write a plain Hugging Face checkpoint (safetensors, config, tokenizer); of several processes the first one does.

    Raises:
        CompressError: the disk is full or the folder cannot be written.
    """
    if not is_main_process():
        return
    try:
        with quiet():
            model.save_pretrained(folder)
            its_tokenizer.save_pretrained(folder)
    except Exception as error:
        # The writer of safetensors wraps the system's error in one of its own.
        raise CompressError(
            f"The model cannot be written to {folder} ({first_line(error)}). Is the disk full?"
        ) from error
