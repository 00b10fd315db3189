"""Reads a task config: from the mapping under `task:` to a task and the location of its data.

A known name (`sst2`), a known name with settings (`{name: sst2, data: DIR, limit: {train: 12000}}`), or a task of one's own:
`{name: mine, kind: classification, data: {train: a.csv, evaluation: b.csv}, text: review, label: stars, labels: [neg, pos]}`.
Which keys a task takes, and what they mean, is asked of its kind (`compress.tasks.kinds.template`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compress.core import catalogue, settings
from compress.core.errors import CompressError, guess, listing, shown
from compress.data import described_columns as columns
from compress.data.described_files import HELP as DATA_HELP
from compress.data.described_files import check_split, usual_generation, with_data
from compress.data.described_generation import with_generation
from compress.data.file_settings import FileSettings
from compress.tasks import kinds
from compress.tasks.kinds.template import Template
from compress.tasks.kinds.text_classification import USUAL
from compress.tasks.scoring import chosen
from compress.tasks.task import DescribedTask, Task

OF_FILES = tuple(FileSettings.model_fields)
OF_ANY_TASK = (
    *("name", "kind", "data", "metric", "bad_rows", "holdout", "limit", "seed", "allow_overlap"),
    *OF_FILES,
)
HELP = {**columns.HELP, "data": DATA_HELP}


def resolve(description: str | Mapping[str, Any]) -> tuple[Task, str | None]:
    """The task that is described, and its data folder (None: the hub or the task's own generator).

    Files are found from the current folder. CompressError for whatever is misspelt, missing or of the wrong type.
    """
    if isinstance(description, str):
        return find(description), None
    if not isinstance(description, Mapping):
        raise CompressError(f"A task is a name or a mapping with a name, not {shown(description)}.")
    name = description.get("name")
    if not isinstance(name, str) or not name:
        raise CompressError(
            "The task has no name. Add `name:` with a name of your own, or one of `compress list tasks`."
        )
    _check_name(name)
    is_known = name in known()
    written = dict(description) if is_known else with_kind(description)
    given = {key: value for key, value in written.items() if value is not None}
    if not is_known and not {"kind", "text"} & set(given):
        raise _unknown(name)
    task = find(name) if is_known else None
    kind = task.kind if task else given.get("kind", USUAL)
    if not isinstance(kind, str) or kind not in kinds.templates():
        known_kinds = tuple(kinds.templates())
        raise CompressError(
            f"Task '{name}': kind is one of {', '.join(known_kinds)}, not {shown(kind)}.{guess(kind, known_kinds)}"
        )
    template = kinds.templates()[kind]
    _check_keys(name, kind, template, written, is_known)
    task = task or _own(name, kind, template, given)
    task, data = with_data(_with_settings(task, given), template, given)
    columns.check_different(task)
    if task.reads_words and not task.label_names:
        from compress.data import tag_names

        task = tag_names.named(task, data)
    return task, data


def described_task(description: str | Mapping[str, Any]) -> DescribedTask:
    """The task that is described, as it travels. Its description has the names of labels that were found in its data, so that a
    model keeps them whatever rows it meets later.

    Raises:
        CompressError: see `resolve`.
    """
    task, data = resolve(description)
    written = {"name": description} if isinstance(description, str) else description
    if task.labels_from and not written.get("labels"):
        written = {**written, "labels": list(task.label_names), "labels_from": task.labels_from}
    return DescribedTask(task, data, written)


def known() -> tuple[str, ...]:
    """The names of the tasks that ship."""
    return catalogue.names("tasks")


def find(name: str) -> Task:
    """The known task of this name."""
    if name not in known():
        raise _unknown(name)
    task: Task = catalogue.find("tasks", name)
    return task


def with_kind(description: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a task of one's own with the name that we have for its kind.

    >>> with_kind({"kind": "text-classification", "multi_label": True})
    {'kind': 'multi_label_classification'}

    Raises:
        CompressError: `multi_label` contradicts the kind.
    """
    found = dict(description)
    kind = found.get("kind")
    if isinstance(kind, str):
        plain = "_".join(kind.lower().replace("-", " ").replace("_", " ").split())
        names = {alias: name for name, one in kinds.templates().items() for alias in one.aliases}
        found["kind"] = kind = names.get(plain, plain)
    multi_label = found.pop("multi_label", None)
    if multi_label not in (None, True, False):
        raise CompressError(
            f"Task {shown(found.get('name'))}: `multi_label` is true or false, not {shown(multi_label)}."
        )
    known_kind = kind if isinstance(kind, str) and kind in kinds.templates() else USUAL if kind is None else ""
    several = kinds.templates()[known_kind].with_several if known_kind else ""
    has_several = bool(known_kind) and kinds.by_task(known_kind).laws[known_kind].several
    if several and (multi_label or (multi_label is None and columns.is_list(found.get("label")))):
        found["kind"] = several
    elif multi_label is not None and multi_label != has_several and kind is not None:
        raise CompressError(
            f"Task {shown(found.get('name'))}: `multi_label: {str(multi_label).lower()}` contradicts `kind: {kind}`."
        )
    return found


def _check_name(name: str) -> None:
    """Raises a CompressError for a task name that cannot be shown."""
    if len(name) > 100 or not name.isprintable():
        raise CompressError(f"{shown(name)} cannot be a task's name: give one of at most 100 printable characters.")


def _unknown(name: str) -> CompressError:
    return CompressError(
        f"Unknown task {shown(name)}.{guess(name, known())} Known: {listing(known())}. A task of your own takes a kind "
        f"({', '.join(kinds.templates())}), data, and its columns: text, label and labels, or source and target."
    )


def _check_keys(name: str, kind: str, template: Template, given: Mapping[str, Any], is_known: bool) -> None:
    if is_known and given.get("kind") not in (None, kind):
        raise CompressError(
            f"Task '{name}' is a known one, {template.noun}: give one of your own another name, or leave out its kind."
        )
    allowed = (*OF_ANY_TASK, *template.keys, *(() if is_known else template.own_keys))
    for key in given:
        if key in allowed:
            continue
        others = [one.noun for one in kinds.templates().values() if key in (*one.keys, *one.own_keys)]
        if key in template.own_keys:
            why = f" (it is a known task: give a task of your own another name).{guess(key, allowed)}"
        elif others:
            why = f": {template.noun}, which has no '{key}'; `{key}` is for {', '.join(others)}."
        else:
            why = f".{guess(key, allowed)}"
        raise CompressError(f"Unknown setting {shown(key)} in task '{name}'{why} Settings: {listing(allowed)}.")


def _own(name: str, kind: str, template: Template, given: Mapping[str, Any]) -> Task:
    for key in template.needed:
        if not given.get(key):
            raise CompressError(f"Task '{name}' has no '{key}'. {HELP[key]}")
    text, label = template.usual_columns
    most = 2 if template.pairs else 1
    texts = columns.texts(name, template.text, given.get(template.text) or text, most)
    of_labels = columns.of_labels(name, kind, template.label, given.get(template.label) or label, given)
    task = Task(name=name, kind=kind, text_columns=texts, metrics=template.metrics, **of_labels)
    if not task.is_generative:
        return task
    return replace(task, generation=usual_generation(task.of_kind.has_references, given["data"]))


def _with_settings(task: Task, given: Mapping[str, Any]) -> Task:
    name = task.name
    bad_rows = given.get("bad_rows", task.bad_rows)
    if bad_rows not in ("error", "skip"):
        raise CompressError(f"Task '{name}': `bad_rows` is 'error' or 'skip', not {shown(bad_rows)}.")
    holdout = given.get("holdout", task.holdout)
    if not columns.is_number(holdout) or not 0 < holdout < 1:
        raise CompressError(
            f"Task '{name}': `holdout` is a share of the training rows between 0 and 1, not {shown(holdout)}."
        )
    seed = given.get("seed", task.seed)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise CompressError(f"Task '{name}': `seed` is a whole number, not {shown(seed)}.")
    allowed = given.get("allow_overlap", task.allow_overlap)
    if not isinstance(allowed, bool):
        raise CompressError(f"Task '{name}': `allow_overlap` is true or false, not {shown(allowed)}.")
    of_files = settings.build(FileSettings, {key: given[key] for key in OF_FILES if key in given}, f"task '{name}'")
    task = replace(
        task,
        metrics=chosen(task, given["metric"]) if "metric" in given else task.metrics,
        allow_overlap=allowed,
        bad_rows=bad_rows,
        holdout=float(holdout),
        seed=seed,
        limit=_limit(name, given.get("limit", task.limit)),
        **of_files.model_dump(exclude_none=True),
    )
    if task.is_generative:
        return with_generation(task, given)
    return replace(task, model_labels=columns.model_labels(task, given.get("model_labels", {})))


def _limit(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise CompressError(f"Task '{name}': `limit` is a mapping of splits to rows, as `limit: {{train: 12000}}`.")
    for split, rows in value.items():
        check_split(name, "limit", split)
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise CompressError(f"Task '{name}': the limit of {split} is a number of rows, not {shown(rows)}.")
    return dict(value)
