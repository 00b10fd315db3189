"""Loads and saves Hugging Face models, classifiers above all: safetensors only, no remote code unless asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, is_main_process
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.models import labels
from compress.models.generators import generator, kind_of
from compress.models.kinds import check_handled, check_trained, has_classifier
from compress.models.opening import Opened, opened
from compress.models.pretrained import (
    config,
    first_line,
    needs_peft,
    quiet,
    raw_config,
    told_in_words,
    trusts_remote_code,
)
from compress.models.sources import DEMO, adopt, bring
from compress.models.tokenizing import tokenizer

__all__ = [
    "DEMO",
    "adopt",
    "bring",
    "check_kind",
    "check_labels",
    "check_opens",
    "classifier",
    "config",
    "for_task",
    "from_config",
    "has_classifier",
    "kind_of",
    "load",
    "needs_peft",
    "quiet",
    "save",
    "tokenizer",
    "trusts_remote_code",
]


def load(artifact: Artifact) -> Any:
    """The model of a torch artifact, in evaluation mode, in the precision it was saved in: a classifier, or one that
    writes text, as its config says.

    Raises:
        CompressError: the artifact is not a torch one, its weights do not fit its config, or it has no head.
    """
    if artifact.format != "torch":
        raise CompressError(f"{artifact.folder} is an {artifact.format} artifact; a torch one is needed here.")
    if kind_of(artifact.folder) != "classifier":
        return generator(artifact.folder)
    check_trained(artifact.folder)
    return classifier(artifact.folder, anew=False)


def check_opens(folder: Path) -> None:
    """Open the torch model in a folder and its tokenizer, as a later command will; a base may have no head yet.

    Raises:
        CompressError: one of the two cannot be opened.
    """
    from transformers import AutoModel

    tokenizer(folder)
    kind = kind_of(folder)
    if kind != "classifier":
        generator(folder)
    elif has_classifier(folder, raw := raw_config(folder)):
        labels.of_config(raw, folder)
        classifier(folder, anew=False)
    else:
        opened(folder, AutoModel, tells=False)


def classifier(folder: Path, *, anew: bool = True, **changes: Any) -> Any:
    """The sequence classifier in a folder, in evaluation mode.

    Args:
        anew: make the head anew, with a message, where the checkpoint has none (a base model); else that is an error.
        changes: of the config, or of how it is opened (`compress.models.opening.opened`).

    Raises:
        CompressError: the body's tensors are not those of its class, or the head's are not and `anew` is False.
    """
    from transformers import AutoModelForSequenceClassification

    from compress.models.families.cutting import opened_by

    raw = raw_config(folder)
    check_handled(folder, raw)
    with told_in_words(folder):
        kind = _unequal(folder)
    opener = AutoModelForSequenceClassification if kind is None else opened_by(kind)
    found = opened(folder, opener, kind=kind, **changes)
    new = len(found.missing) + len(found.reshaped)
    if new and not anew:
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


def _unequal(folder: Path) -> Any:
    """The classifier's class where the config says that layers have widths of their own, else None."""
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES
    from transformers import AutoConfig, PreTrainedConfig

    from compress.models.families.layer_widths import SETTING

    if SETTING not in PreTrainedConfig.get_config_dict(folder)[0]:
        return None
    return CLASSES[type(AutoConfig.from_pretrained(folder, trust_remote_code=trusts_remote_code()))]


def for_task(folder: Path, task: Any, *, seed: int) -> Any:
    """The classifier in a folder with as many outputs as the task has labels, its labels' names in the config; for a
    generative task the model that writes text, as it is.

    The rows of a trained head follow their labels' names. A head of as many other labels is newly initialized, with a message.

    Args:
        task: a `compress.tasks.task.Task`.
        seed: for the head where it starts anew.
    """
    import torch

    if task.is_generative:
        check_labels(folder, task)
        return generator(folder)
    raw = raw_config(folder)
    torch.manual_seed(seed)
    names = task.label_names or ("score",)
    kind = "regression" if task.kind == "regression" else "single_label_classification"
    own = labels.of_config(raw, folder)
    fits = len(own) == task.num_labels and has_classifier(folder, raw)
    places = labels.order(own, task) if fits else None
    model = classifier(
        folder,
        anew=not fits,
        num_labels=task.num_labels,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        problem_type=kind,
    )
    if fits and places is None:
        say(
            f"{folder.name} has the labels {labels.shown(own)}, the task {labels.shown(names)}: its head is newly initialized."
        )
        return _with_new_head_(model)
    if places is not None and list(places) != sorted(places):
        say(labels.told_of_order(folder, own, names))
        labels.moved_(model, places, names)
    return model


def is_trained_for(folder: Path, task: Any) -> bool:
    """Whether a classifier has a trained head for the labels of a task."""
    raw = raw_config(folder)
    own = labels.of_config(raw, folder)
    return has_classifier(folder, raw) and len(own) == task.num_labels and labels.order(own, task) is not None


def _with_new_head_(model: Any) -> Any:
    """A classifier with random weights in all that is no part of its body, in place."""
    fresh = type(model)(model.config).state_dict()
    body = f"{model.base_model_prefix}."
    model.load_state_dict({name: value for name, value in fresh.items() if not name.startswith(body)}, strict=False)
    return model


def from_config(file: Path, task: Any) -> Any:
    """A classifier with random weights for a `config.json`, with as many outputs as the task has labels.

    Raises:
        CompressError: the file is no config of a sequence classifier.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from compress.models.families.cutting import resized_

    names = dict(enumerate(task.label_names)) or {0: "score"}
    try:
        config = AutoConfig.from_pretrained(
            file, num_labels=task.num_labels, id2label=names, label2id={name: index for index, name in names.items()}
        )
        return resized_(AutoModelForSequenceClassification.from_config(config))
    except Exception as error:
        raise CompressError(f"{file} is no config of a sequence classifier ({first_line(error)}).") from error


def check_kind(folder: Path, task: Any) -> None:
    """Whether a model writes text for a task of writing, and judges it for any other.

    Raises:
        CompressError: it is of another kind.
    """
    kind, of_task = kind_of(folder), task.kind.replace("_", " ")
    if task.is_generative and (
        kind == "classifier" or (kind == "encoder-decoder" and task.kind == "language_modelling")
    ):
        is_this = "writes no text" if kind == "classifier" else "is an encoder-decoder"
        needed = "a decoder (GPT-2, Llama)" if task.kind == "language_modelling" else "an encoder-decoder or a decoder"
        raise CompressError(
            f"The task {task.name} is {of_task}, which needs {needed}; the model in {folder} {is_this}."
        )
    if not task.is_generative and kind != "classifier":
        raise CompressError(
            f"The model in {folder} writes text (it is {'an' if kind[0] == 'e' else 'a'} {kind}), but the task {task.name} is "
            f"a {of_task}. Choose the task that it was trained for, as `--task samsum`."
        )


def check_labels(folder: Path, task: Any, *, is_kept: bool = False) -> None:
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
    check_trained(folder)
    names = labels.of_config(raw, folder)
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
