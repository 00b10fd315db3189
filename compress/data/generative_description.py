"""From what a user writes under `task:` to a generative task and the place of its data.

A known name (`samsum`), a known name with settings (`{name: samsum, data: DIR, line_end: " | "}`), or a task of one's own:
`{name: mine, kind: summarization, data: {train: a.jsonl, evaluation: b.jsonl}, source: chat, target: gist}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.core import catalogue, settings
from compress.core.errors import CompressError, guess, listing, shown
from compress.data.description import OF_FILES, by_split, check_columns, check_name
from compress.data.files import FORMATS, TEXT
from compress.data.generative_settings import Described
from compress.data.sources import STEMS
from compress.tasks.generative import METRICS
from compress.tasks.scoring import chosen
from compress.tasks.task import SPLITS, Generation, Source, Task

PLAIN = ".txt"
"""What ends the name of a text file. In a classifier's data such a file is a table."""
SETTINGS = ("bad_rows", "holdout", "limit", "seed", "allow_overlap")
OF_MODELLING = ("documents", "separate")
OF_PAIRS = ("target", "languages", "prefix", "prompt", "line_end", "max_source", "max_target", "dialogue")


def known() -> tuple[str, ...]:
    """The names of the generative tasks that ship."""
    return tuple(name for name in catalogue.names("tasks") if catalogue.find("tasks", name).is_generative)


def find(name: str) -> Task:
    """The known generative task of this name; CompressError where there is none."""
    there = known()
    if name not in there:
        kinds = ", ".join(METRICS)
        raise CompressError(
            f"Unknown task '{name}'.{guess(name, there)} Known: {listing(there)}. A task of your own takes a kind ({kinds})."
        )
    task: Task = catalogue.find("tasks", name)
    return task


def resolve(description: str | Mapping[str, Any]) -> tuple[Task, str | None]:
    """The task that is described, and its data folder (None: the hub).

    Files are found from the current folder. CompressError for whatever is misspelt, missing or of the wrong type.
    """
    if isinstance(description, str):
        return find(description), None
    name = description.get("name")
    given = settings.build(Described, description, f"task {shown(name)}" if name else "a task")
    check_name(given.name)
    task = find(given.name) if given.name in known() or given.kind is None else _own(given)
    if given.kind not in (None, task.kind):
        raise CompressError(f"Task '{task.name}' is a known one, a {task.kind}: give one of your own another name.")
    _refuse_what_it_cannot_have(task, given)
    return _with_data(_with_settings(task, given), given)


def _own(given: Described) -> Task:
    kind = given.kind or "summarization"
    if given.data is None:
        raise CompressError(
            f"Task '{given.name}' has no 'data'. Name a folder, or the files: `data: {{train: FILE, evaluation: FILE}}`."
        )
    models_text = kind == "language_modelling"
    for key, value in () if models_text else (("source", given.source), ("target", given.target)):
        if value is None:
            raise CompressError(f"Task '{given.name}' has no '{key}'. Name the column of the {key} texts.")
    flows = models_text and _is_plain_text(given.data)
    return Task(
        name=given.name,
        kind=kind,
        text_columns=(given.source or TEXT,),
        label_column=given.target or "",
        metrics=METRICS[kind],
        # The lines of a text file are no documents, and the file is one text; the rows of a table are.
        generation=Generation(documents="paragraphs", separate=False) if flows else Generation(),
    )


def _refuse_what_it_cannot_have(task: Task, given: Described) -> None:
    models_text = not task.of_kind.has_references
    for name in OF_PAIRS if models_text else OF_MODELLING:
        if getattr(given, name) is not None:
            raise CompressError(f"Task '{task.name}' is {task.kind.replace('_', ' ')}, which has no '{name}'.")
    if given.prompt is not None and "{source}" not in given.prompt:
        raise CompressError(f"Task '{task.name}': the prompt has no {{source}} in it, so every row would read alike.")
    if given.languages is not None and task.kind != "translation":
        raise CompressError(f"Task '{task.name}': `languages` are for a translation.")


def _with_settings(task: Task, given: Described) -> Task:
    said = given.model_dump(exclude_none=True)
    generation = task.generation or Generation()
    ours = ("prefix", "prompt", "line_end", "max_source", "max_target", "empty", "documents", "separate")
    generation = replace(generation, **{name: said[name] for name in ours if name in said})
    if given.dialogue is not None:
        generation = replace(generation, is_dialogue=given.dialogue)
    if given.languages is not None:
        generation = replace(generation, languages=tuple(given.languages))
    task = replace(task, **{name: said[name] for name in (*SETTINGS, *OF_FILES) if name in said})
    if given.metric is not None:
        task = replace(task, metrics=chosen(task, given.metric))
    return replace(task, generation=generation, empty_text_is_bad=generation.empty != "keep")


def _with_data(task: Task, given: Described) -> tuple[Task, str | None]:
    source, target = given.source or task.text_columns[0], given.target or task.label_column
    task = replace(task, text_columns=(source,), label_column=target)
    check_columns(task)
    data = by_split(task.name, given.data)
    if not isinstance(data, Mapping):
        if data is not None and not task.of_kind.has_references:
            plain = {split: tuple(_text_source(f"{stem}{PLAIN}") for stem in STEMS[split]) for split in SPLITS}
            del plain["holdout"]  # a source for it would say that the data has a holdout of its own
            task = replace(task, files={split: (*task.files.get(split, ()), *plain.get(split, ())) for split in plain})
        return task, data
    chosen: dict[str, tuple[Source, ...]] = {}
    for split, file in data.items():
        if not task.of_kind.has_references and _is_text_file(file):
            chosen[split] = (_text_source(file),)
            continue
        if Path(file).suffix.lower() not in FORMATS:
            raise CompressError(
                f"Task '{task.name}': {shown(file, 100)[1:-1]} has no known format. Use one of {' '.join(FORMATS)}."
            )
        # A known task's own names of columns come first, so that its files may lie anywhere under any name.
        own = () if given.source or given.target else task.files.get("train" if split == "holdout" else split, ())
        layouts = (replace(layout, file=file) for layout in own if layout.format != TEXT)
        chosen[split] = (*layouts, Source(file))
    return replace(task, files=chosen, only_these_files=True), "."


def _text_source(file: str) -> Source:
    return Source(file, format=TEXT, text=(TEXT,))


def _is_text_file(file: str) -> bool:
    suffix = Path(file).suffix.lower()
    return suffix == PLAIN or suffix not in FORMATS


def _is_plain_text(data: str | Mapping[Any, str]) -> bool:
    """Whether the files named, or else the folder's, are texts without columns."""
    if isinstance(data, Mapping):
        return all(_is_text_file(file) for file in data.values())
    return any((Path(data) / f"{stem}{PLAIN}").is_file() for stems in STEMS.values() for stem in stems)
