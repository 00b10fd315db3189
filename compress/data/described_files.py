"""Finds the files of each split from a task config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, guess, shown
from compress.data.described_columns import column, texts
from compress.data.files import FORMATS, TEXT
from compress.data.sources import STEMS, formats, is_file, split_by_name, which_split
from compress.tasks.kinds.template import Template
from compress.tasks.task import SPLITS, Generation, Source, Task

HELP = "Name a folder, or the files: `data: {train: FILE, evaluation: FILE}`."
PLAIN = ".txt"
"""What ends the name of a text file in language modelling; elsewhere such a file is a table."""


def with_data(task: Task, template: Template, given: Mapping[str, Any]) -> tuple[Task, str | None]:
    """The task with its columns and files, and its data folder (None: the hub or the task's own generator).

    Raises:
        CompressError: the columns or files cannot be as they are described.
    """
    text = texts(task.name, template.text, given[template.text]) if template.text in given else ()
    named = not task.label_columns and template.label and given.get(template.label)
    label = column(task.name, template.label, given[template.label]) if named else ""
    if task.generator and ("data" in given or text or label):
        raise CompressError(
            f"Task '{task.name}' makes its own data: leave out data, {template.text} and {template.label}."
        )
    if text and len(text) != len(task.text_columns):
        raise CompressError(
            f"Task '{task.name}' has {len(task.text_columns)} text(s), but `{template.text}` names {len(text)}."
        )
    task = replace(task, text_columns=text or task.text_columns, label_column=label or task.label_column)
    data = _by_split(task.name, given.get("data"))
    reads_text = task.is_generative and not task.of_kind.has_references
    if data is None or isinstance(data, str):
        return (_with_text_files(task) if reads_text and data is not None else task), data
    if not isinstance(data, Mapping):
        raise CompressError(
            f"Task '{task.name}': `data` is a folder or a mapping of splits to files, not {shown(data)}."
        )
    chosen: dict[str, tuple[Source, ...]] = {}
    for split, file in data.items():
        check_split(task.name, "data", split)
        if not isinstance(file, str) or not file:
            raise CompressError(f"Task '{task.name}': the {split} data is a file, not {shown(file)}.")
        if reads_text and _is_text_file(file):
            chosen[split] = (_text_source(file),)
            continue
        if Path(file).suffix.lower() not in formats(task):
            raise CompressError(
                f"Task '{task.name}': {shown(file, 100)[1:-1]} has no known format. Use one of {' '.join(formats(task))}."
            )
        # A known task's own layouts come first, so that its files (GLUE's, say) may lie anywhere under any name.
        own = () if text or label else task.files.get("train" if split == "holdout" else split, ())
        layouts = (replace(layout, file=file) for layout in own if layout.format != TEXT)
        chosen[split] = (*layouts, Source(file))
    return replace(task, files=chosen, only_these_files=True), "."


def usual_generation(has_references: bool, data: Any) -> Generation:
    """The defaults of a generative task config.

    The rows of a table are documents; the lines of a text file are none, and the file is one text.
    """
    return (
        Generation()
        if has_references or not _is_plain_text(data)
        else Generation(documents="paragraphs", separate=False)
    )


def check_split(name: str, key: str, split: Any) -> None:
    """Raises a CompressError for an unknown split."""
    if not isinstance(split, str) or split not in SPLITS:
        raise CompressError(
            f"Task '{name}': `{key}` names the split {shown(split)}.{guess(split, SPLITS)} Splits: {', '.join(SPLITS)}."
        )


def _by_split(name: str, data: Any) -> Any:
    """The data of a task; of a single file, a mapping with the split that its name tells.

    Raises:
        CompressError: it is a file whose name tells no split.
    """
    if not isinstance(data, str | Path) or not data:
        return data
    if not is_file(Path(data)):
        return str(data)
    split = split_by_name(Path(data))
    if not split:
        raise which_split(name, Path(data))
    return {split: str(data)}


def _with_text_files(task: Task) -> Task:
    """Text files of a folder hold splits too, behind what the task names."""
    plain = {split: tuple(_text_source(f"{stem}{PLAIN}") for stem in STEMS[split]) for split in SPLITS}
    del plain["holdout"]  # a source for it would say that the data has a holdout of its own
    return replace(task, files={split: (*task.files.get(split, ()), *plain.get(split, ())) for split in plain})


def _text_source(file: str) -> Source:
    return Source(file, format=TEXT, text=(TEXT,))


def _is_text_file(file: str) -> bool:
    suffix = Path(file).suffix.lower()
    return suffix == PLAIN or suffix not in FORMATS


def _is_plain_text(data: Any) -> bool:
    """Whether the files named, or else the folder's, are texts without columns."""
    if isinstance(data, Mapping):
        return all(isinstance(file, str) and _is_text_file(file) for file in data.values())
    files = (Path(data) / f"{stem}{PLAIN}" for stems in STEMS.values() for stem in stems)
    return isinstance(data, str | Path) and any(is_file(file) for file in files)
