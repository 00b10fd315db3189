"""From what a user writes under `task:` to a task and the place of its data.

A known name (`sst2`), a known name with settings (`{name: sst2, data: DIR, limit: {train: 12000}}`), or a task of one's own:
`{name: mine, kind: classification, data: {train: a.csv, evaluation: b.csv}, text: review, label: stars, labels: [neg, pos]}`.
Generative tasks have settings of their own: see `compress.data.generative_description`, which reads those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from compress.core import catalogue, settings
from compress.core.errors import CompressError, guess, listing, shown
from compress.data import several_labels_description as several
from compress.data.described_columns import HELP, column, is_list, labels, texts
from compress.data.file_settings import FileSettings
from compress.data.sources import formats, is_file, split_by_name, which_split
from compress.models.labels import folded
from compress.models.labels import shown as all_labels
from compress.tasks import kinds
from compress.tasks.scoring import chosen
from compress.tasks.task import SPLITS, Source, Task, TextKind

OF_FILES = tuple(FileSettings.model_fields)
OF_ANY_TASK = (
    "name",
    "data",
    "text",
    "label",
    "model_labels",
    "metric",
    "bad_rows",
    "holdout",
    "limit",
    "seed",
    "allow_overlap",
    *OF_FILES,
)
KINDS = kinds.of_tasks()
OF_ONES_OWN = (*OF_ANY_TASK, "kind", "labels", "range")


def resolve(description: str | Mapping[str, Any]) -> tuple[Task, str | None]:
    """The task that is described, and its data folder (None: the hub or the task's own generator).

    Files are found from the current folder. CompressError for whatever is misspelt, missing or of the wrong type.
    """
    if isinstance(description, str):
        return find(description), None
    if not isinstance(description, Mapping):
        raise CompressError(f"A task is a name or a mapping with a name, not {shown(description)}.")
    if description.get("name") not in known():
        description = several.with_kind(description)
    if _is_generative(description):
        from compress.data import generative_description as describing

        return describing.resolve(description)
    name = description.get("name")
    if not isinstance(name, str) or not name:
        raise CompressError("The task has no name. Give it one: `task: {name: sst2, data: FOLDER}`.")
    is_known = name in known()
    kind = description.get("kind")
    further = several.SETTINGS.get(kind, ()) if isinstance(kind, str) else ()
    allowed = OF_ANY_TASK if is_known else (*OF_ONES_OWN, *further)
    check_name(name)
    for key in description:
        if key not in allowed:
            why = " (it is a known task: give a task of your own another name)" if key in OF_ONES_OWN else ""
            raise CompressError(
                f"Unknown setting {shown(key)} in task '{name}'{why}.{guess(key, allowed)} Settings: {listing(allowed)}."
            )
    if not is_known and "text" not in description and "kind" not in description:
        raise _unknown(name)
    task = find(name) if is_known else _own(name, description)
    task, data = _with_data(_with_settings(task, description), description)
    check_columns(task)
    if task.reads_words and not task.label_names:
        from compress.data import tag_names

        task = tag_names.named(task, data)
    return task, data


def settled(description: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The description with the names of the labels that were found in its data, so that a model keeps them whatever rows it
    meets later; any other as it is.

    Raises:
        CompressError: see `resolve`.
    """
    if description is None or several.with_kind(description).get("kind") != "token_classification":
        return description
    task, _ = resolve(description)
    return (
        {**description, "labels": list(task.label_names), "labels_from": task.labels_from}
        if task.labels_from
        else description
    )


def check_name(name: str) -> None:
    """CompressError for the name of a task that no message could show."""
    if len(name) > 100 or not name.isprintable():
        raise CompressError(f"{shown(name)} cannot be a task's name: give one of at most 100 printable characters.")


def check_columns(task: Task) -> None:
    """CompressError for a task that reads one column twice: of a label that stands in the text nothing is learned."""
    names = [name for name in (*task.text_columns, task.label_column, *task.label_columns) if name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CompressError(
            f"Task '{task.name}' reads the column {shown(twice)} twice, among its texts and its label. Name a column for each."
        )


def _is_generative(description: Mapping[str, Any]) -> bool:
    name, kind = description.get("name"), description.get("kind")
    if isinstance(name, str) and name in known():
        return find(name).is_generative
    return kind in get_args(TextKind) or (kind is None and bool({"source", "target"} & set(description)))


def known() -> tuple[str, ...]:
    """The names of the tasks that ship."""
    return catalogue.names("tasks")


def find(name: str) -> Task:
    """The known task of this name."""
    if name not in known():
        raise _unknown(name)
    task: Task = catalogue.find("tasks", name)
    return task


def _unknown(name: str) -> CompressError:
    names = known()
    return CompressError(
        f"Unknown task {shown(name)}.{guess(name, names)} Known: {listing(names)}."
        " A task of your own takes name, data, text, label and labels (or kind: regression); one whose labels are texts "
        "takes kind, data, source and target."
    )


def _own(name: str, description: Mapping[str, Any]) -> Task:
    kind = description.get("kind", "classification")
    if kind in several.KINDS:
        if not description.get("data"):
            raise CompressError(f"Task '{name}' has no 'data'. {HELP['data']}")
        _range(name, kind, description.get("range"))
        task = several.own(name, description)
        return replace(task, metrics=chosen(task, description["metric"])) if "metric" in description else task
    if kind not in ("classification", "regression"):
        raise CompressError(f"Task '{name}': kind is one of {', '.join(KINDS)}, not {shown(kind)}.{guess(kind, KINDS)}")
    for key in ("text", "label", "data"):
        if not description.get(key):
            raise CompressError(f"Task '{name}' has no '{key}'. {HELP[key]}")
    named = description.get("labels", ())
    if kind == "regression" and named:
        raise CompressError(f"Task '{name}': a regression has no `labels`; its bounds go under `range: [0, 5]`.")
    names, values = labels(name, named) if kind == "classification" else ((), {})
    task = Task(
        name=name,
        kind=kind,
        text_columns=texts(name, description["text"]),
        label_column=column(name, "label", description["label"]),
        label_names=names,
        label_values=values,
        label_range=_range(name, kind, description.get("range")),
        metrics=("accuracy",) if kind == "classification" else ("pearson", "spearman"),
    )
    return replace(task, metrics=chosen(task, description["metric"])) if "metric" in description else task


def _range(name: str, kind: str, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if kind != "regression":
        raise CompressError(f"Task '{name}': `range` is for a regression.")
    if not is_list(value) or len(value) != 2 or not all(_is_number(bound) for bound in value) or value[0] >= value[1]:
        raise CompressError(
            f"Task '{name}': `range` is a list of the least and the greatest label, not {shown(value)}."
        )
    return float(value[0]), float(value[1])


def _with_settings(task: Task, description: Mapping[str, Any]) -> Task:
    name = task.name
    if "metric" in description:
        task = replace(task, metrics=chosen(task, description["metric"]))
    bad_rows = description.get("bad_rows", task.bad_rows)
    if bad_rows not in ("error", "skip"):
        raise CompressError(f"Task '{name}': `bad_rows` is 'error' or 'skip', not {shown(bad_rows)}.")
    holdout = description.get("holdout", task.holdout)
    if not _is_number(holdout) or not 0 < holdout < 1:
        raise CompressError(
            f"Task '{name}': `holdout` is a share of the training rows between 0 and 1, not {shown(holdout)}."
        )
    seed = description.get("seed", task.seed)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise CompressError(f"Task '{name}': `seed` is a whole number, not {shown(seed)}.")
    limit = _limit(name, description.get("limit", task.limit))
    allowed = description.get("allow_overlap", task.allow_overlap)
    if not isinstance(allowed, bool):
        raise CompressError(f"Task '{name}': `allow_overlap` is true or false, not {shown(allowed)}.")
    of_files = settings.build(
        FileSettings, {key: description[key] for key in OF_FILES if key in description}, f"task '{name}'"
    )
    task = replace(
        task,
        allow_overlap=allowed,
        bad_rows=bad_rows,
        holdout=float(holdout),
        seed=seed,
        limit=limit,
        **of_files.model_dump(exclude_none=True),
    )
    return replace(task, model_labels=_model_labels(task, description.get("model_labels", {})))


def _model_labels(task: Task, value: Any) -> dict[str, str]:
    """What a model calls its outputs, to the task's labels."""
    if not isinstance(value, Mapping):
        raise CompressError(
            f"Task '{task.name}': `model_labels` maps what a model calls its outputs to the labels, as "
            f"`model_labels: {{LABEL_A: {(*task.label_names, 'positive')[0]}}}`."
        )
    own = {folded(name) for name in task.label_names}
    for of_model, label in value.items():
        label = str(label) if isinstance(label, int | float) else label
        if not isinstance(label, str):
            raise CompressError(f"Task '{task.name}': `model_labels` maps names to labels, not to {shown(label)}.")
        if own and folded(label) not in own:
            raise CompressError(
                f"Task '{task.name}': `model_labels` maps '{of_model}' to '{label}', which is none of its labels: "
                f"{all_labels(task.label_names)}."
            )
        if folded(of_model) in own and folded(of_model) != folded(label):
            raise CompressError(
                f"Task '{task.name}': `model_labels` maps its own label '{of_model}' to another, '{label}'. If the model's "
                "config has its names in the wrong order, correct `id2label` there."
            )
    return {str(of_model): str(label) for of_model, label in value.items()}


def _limit(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise CompressError(f"Task '{name}': `limit` is a mapping of splits to rows, as `limit: {{train: 12000}}`.")
    for split, rows in value.items():
        _check_split(name, "limit", split)
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise CompressError(f"Task '{name}': the limit of {split} is a number of rows, not {shown(rows)}.")
    return dict(value)


def _with_data(task: Task, description: Mapping[str, Any]) -> tuple[Task, str | None]:
    data = description.get("data")
    text = texts(task.name, description["text"]) if "text" in description else ()
    named = not task.label_columns and description.get("label")
    label = column(task.name, "label", description["label"]) if named else ""
    if task.generator and (data is not None or text or label):
        raise CompressError(f"Task '{task.name}' makes its own data: leave out data, text and label.")
    if text and len(text) != len(task.text_columns):
        raise CompressError(f"Task '{task.name}' has {len(task.text_columns)} text(s), but `text` names {len(text)}.")
    data = by_split(task.name, data)
    if data is None or isinstance(data, str):
        columns = replace(task, text_columns=text or task.text_columns, label_column=label or task.label_column)
        return columns, data
    if not isinstance(data, Mapping):
        raise CompressError(
            f"Task '{task.name}': `data` is a folder or a mapping of splits to files, not {shown(data)}."
        )
    chosen: dict[str, tuple[Source, ...]] = {}
    for split, file in data.items():
        _check_split(task.name, "data", split)
        if not isinstance(file, str) or not file:
            raise CompressError(f"Task '{task.name}': the {split} data is a file, not {shown(file)}.")
        if Path(file).suffix.lower() not in formats(task):
            raise CompressError(
                f"Task '{task.name}': {shown(file, 100)[1:-1]} has no known format. Use one of {' '.join(formats(task))}."
            )
        # A known task's own layouts come first, so that GLUE's files may lie anywhere under any name.
        layouts = () if text or label else task.files.get("train" if split == "holdout" else split, ())
        chosen[split] = (*(replace(layout, file=file) for layout in layouts), Source(file, text=text, label=label))
    return replace(task, files=chosen, only_these_files=True), "."


def by_split(name: str, data: Any) -> Any:
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


def _check_split(name: str, key: str, split: Any) -> None:
    if not isinstance(split, str) or split not in SPLITS:
        raise CompressError(
            f"Task '{name}': `{key}` names the split {shown(split)}.{guess(split, SPLITS)} Splits: {', '.join(SPLITS)}."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
