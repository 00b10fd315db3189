"""Reorders a trained classifier's outputs to the order of a task's labels, before it is used."""

from __future__ import annotations

from pathlib import Path

from compress.core.artifact import Artifact, is_main_process, wait_until
from compress.core.progress import say
from compress.models import labels
from compress.models.load import checkpoint_artifact, kind_of, load, save, tokenizer
from compress.models.pretrained import raw_config
from compress.tasks.task import Task


def in_task_order(artifact: Artifact, task: Task, scratch: Path) -> Artifact:
    """A trained classifier whose outputs are in the order of the task's labels: itself, or a copy with its head's rows moved.

    Args:
        artifact: of any kind; one without labels, or whose names tell nothing (see `check_labels`), is given back.
        task: a `compress.tasks.task.Task`.
        scratch: where the copy is written, in a folder named by the artifact.

    Raises:
        CompressError: its head cannot be changed.
    """
    if artifact.format != "torch" or not task.label_names or kind_of(artifact.folder) is not task.of_kind:
        return artifact
    raw = raw_config(artifact.folder)
    own = labels.of_config(raw, artifact.folder)
    places = labels.order(own, task) if len(own) == task.num_labels else None
    if places is None or list(places) == sorted(places):
        return artifact
    folder = scratch / f"in-task-order-{artifact.fingerprint()}"
    if is_main_process() and not (folder / "config.json").is_file():  # else an earlier try of the same step left it
        say(labels.reordered_message(artifact.folder, own, task.label_names))
        model = labels.moved_(load(artifact), places, task.label_names)
        save(model, tokenizer(artifact.folder), folder / "partial")
        for file in (folder / "partial").iterdir():
            if file.name != "config.json":
                file.replace(folder / file.name)
        (folder / "partial" / "config.json").replace(folder / "config.json")  # last: then the copy is whole
    wait_until((folder / "config.json").is_file, "the first process to put the outputs in the task's order")
    return checkpoint_artifact(folder, artifact.folder.resolve().name)
