"""Makes a first pipeline for a model and a file of rows: from what the file holds, and what the model reads and answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.cli.planning.first_steps import first_steps
from compress.cli.planning.label_names import put_labels
from compress.cli.planning.pipeline_text import Line, text
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.data.files import TEXT
from compress.data.profile import Profile, profile
from compress.models.kinds import kind_of
from compress.models.pretrained import raw_config
from compress.tasks import kinds
from compress.tasks.kinds import guess
from compress.tasks.kinds.text_classification import USUAL

SAMPLE = 1000
"""Rows whose tokens are counted."""
FEW_BAD = 0.05
"""Up to this share of bad rows it is suggested to skip them."""


@dataclass(frozen=True)
class FirstPipeline:
    """A pipeline for a model and a file, before it is written."""

    model: str
    task: Mapping[str, Any]
    """As under `task:`, with the files as they were given."""
    comments: Mapping[str, str]
    """What is said beside a key of the task."""
    steps: tuple[tuple[str, Mapping[str, Any], str], ...]
    """(name, technique and settings, comment)."""
    train: Profile
    texts: tuple[str, ...]
    """The columns that the model reads."""
    tokens: float
    """The mean length of a row."""
    findings: tuple[str, ...]
    """What was found, in sentences."""
    drop: tuple[float, str]
    """The budget's `max_drop`, and what it means."""


def first_pipeline(
    model: Artifact, name: str, data: Path, evaluation: Path | None, given: Mapping[str, Any]
) -> FirstPipeline:
    """What a pipeline for these files should be.

    Args:
        model: where it starts.
        name: of the model, as the user gave it.
        data: the training rows, or all rows.
        evaluation: the evaluation rows; None: some of `data` are set aside.
        given: `kind`, `text`, `label`, where the user names them.

    Raises:
        CompressError: the files cannot be read, a column is missing, or the model cannot do what they are for.
    """
    kind = kind_of(model.folder)
    raw = raw_config(model.folder)
    asked = given.get("kind")
    asks_words = asked in kinds.of_tasks() and kinds.by_task(asked).reads_words
    of_words = asks_words or (kind is not None and kind.reads_words)
    is_text = None if kind is None or kind.generates else False
    train = profile(data, of_words=of_words, is_text=is_text)
    law = None if kind is None else kind.law_of(raw)
    found = guess.described(train.columns, layout=train.source.format, kind=kind, law=law, given=given)
    of_kind = kinds.by_task(found.get("kind", USUAL))
    task: dict[str, Any] = {"name": _task_name(data), **found}
    comments = {"name": "any name", "kind": "what a model learns, see docs/data.md"}
    findings = [_of_file(train)]
    has_head = kind is of_kind or (kind is not None and kind.generates and of_kind.generates)
    if not of_kind.generates and not of_kind.reads_words:
        has_head = put_labels(task, comments, findings, train, model, has_head) and has_head
    if train.source.separator:
        task["separator"] = train.source.separator
        comments["separator"] = "what separates the cells"
    if train.source.encoding:
        task["encoding"] = train.source.encoding
        comments["encoding"] = "not UTF-8: check an accented letter in the report's examples"
    names = _text_columns(task, train)
    empty = sum(1 for row in train.texts(names) if not all(cell.strip() for cell in row)) if names else 0
    bad = train.defects + (0 if of_kind.generates else empty)
    if bad and train.source.format != TEXT:
        findings.append(f"{bad:,} of {train.rows + train.defects:,} rows cannot be read or have no text.")
        if bad <= FEW_BAD * (train.rows + train.defects):
            task["bad_rows"] = "skip"
            comments["bad_rows"] = f"{bad:,} rows cannot be read or have no text; they are counted"
    other = None
    if evaluation is not None:
        other = profile(evaluation, of_words=of_words, is_text=train.source.format == TEXT)
        _check_alike(train, other, task)
        findings.append(_of_file(other))
    _duplicates(findings, train, other, names)
    tokens, longest, limit, cut = _lengths(model, train, names)
    findings.append(
        f"Rows have {tokens:.0f} tokens of this model on average, and up to {longest:,}"
        + (f"; the model reads {limit:,}." if limit else ".")
    )
    steps = first_steps(model, of_kind, has_head, train.rows, cut)
    drop = (
        (1.0, "the most that perplexity may rise")
        if of_kind.generates and not of_kind.has_references
        else (2.0, "the most points of 100 that a variant may lose")
    )
    return FirstPipeline(name, task, comments, steps, train, tuple(names), tokens, tuple(findings), drop)


def rendered(plan: FirstPipeline, folder: Path, files: Mapping[str, Path]) -> str:
    """The pipeline as YAML, for a file in a folder.

    Args:
        files: of each split.
    """
    blocks: list[tuple[int, Line]] = [
        (0, Line("model", plan.model, "a folder, an artifact or a hub id; a path is relative to where you run this")),
        (0, Line("title", f"{plan.task['name']}: smaller and faster", "of the report")),
        (0, Line("task", None)),
    ]
    usual = {
        "text": f"the column{'s' if len(plan.texts) > 1 else ''} that the model reads",
        "label": "the column of the label",
        "source": "the column that the model reads",
        "target": "the column that it is to write",
        **plan.comments,
    }
    blocks += [(1, Line(key, value, usual.get(key, ""))) for key, value in plan.task.items()]
    places = {split: os.path.relpath(path, folder) for split, path in files.items()}
    blocks.append((1, Line("data", places, "relative to this file")))
    blocks.append((0, Line("steps", None)))
    blocks += [(1, Line(name, body, comment)) for name, body, comment in plan.steps]
    blocks.append((0, Line("benchmark", "quick", "a first look; `cpu` or `generation` measure in full")))
    value, meaning = plan.drop
    blocks.append((0, Line("budget", {"max_drop": value}, f"{meaning}; also min_speedup: 2, max_mb: 50")))
    return text(f"{plan.task['name']}: made by `compress init`. Run it: compress run FILE", blocks)


def without_layout(plan: FirstPipeline) -> FirstPipeline:
    """The same where the rows lie in JSON lines, which have no separator and are in UTF-8."""
    gone = {"separator", "encoding", *(("text", "label") if plan.train.source.format == "conll" else ())}
    kept = {key: value for key, value in plan.task.items() if key not in gone}
    return replace(plan, task=kept)


def _task_name(data: Path) -> str:
    from compress.data.description import known

    name = "".join(one if one.isalnum() or one in "-_" else "-" for one in data.stem)[:60].strip("-") or "mine"
    return f"my-{name}" if name in known() or not name.isprintable() else name


def _of_file(found: Profile) -> str:
    columns = ", ".join(one.name for one in found.columns)
    layout = {
        **({"separator": repr(found.source.separator)} if found.source.separator else {}),
        **({"encoding": found.source.encoding} if found.source.encoding else {}),
    }
    further = "".join(f", {key} {value}" for key, value in layout.items())
    unit = "lines" if found.source.format == TEXT else "rows"
    return f"{found.path.name}: {found.rows:,} {unit} of {found.source.format}{further}; columns: {columns}."


def _text_columns(task: Mapping[str, Any], train: Profile) -> list[str]:
    if train.source.format == TEXT:
        return [TEXT]
    found = task.get("text") or task.get("source") or ("tokens" if train.source.format == "conll" else "")
    return [found] if isinstance(found, str) and found else list(found or [])


def _check_alike(train: Profile, other: Profile, task: Mapping[str, Any]) -> None:
    """Raises a CompressError where the evaluation file cannot be read as the training file is."""
    for name in ("separator", "encoding"):
        mine, theirs = getattr(train.source, name), getattr(other.source, name)
        if mine != theirs:
            raise CompressError(
                f"{train.path.name} has the {name} {mine or 'usual'!r}, and {other.path.name} {theirs or 'usual'!r}. "
                "Convert one of them: a task has one."
            )
    there = {one.name for one in other.columns}
    label = task.get("label") or task.get("target") or []
    for name in (*_text_columns(task, train), *([label] if isinstance(label, str) else label)):
        if name not in there and train.source.format not in (TEXT, "conll"):
            raise CompressError(f"{other.path} has no column '{name}', which {train.path.name} has.")


def _duplicates(findings: list[str], train: Profile, other: Profile | None, names: Sequence[str]) -> None:
    if not names or train.source.format == TEXT:
        return
    counts = Counter(hash(row) for row in train.texts(names))
    twice = sum(count - 1 for count in counts.values())
    if twice:
        findings.append(f"{twice:,} rows of {train.path.name} repeat the text of another.")
    if other is not None:
        shared = sum(1 for row in other.texts(names) if hash(row) in counts)
        if shared:
            findings.append(
                f"{shared:,} of {other.rows:,} evaluation rows are also in {train.path.name}: what is learned by heart "
                "counts as quality. Remove them from one of the files."
            )


def _lengths(model: Artifact, train: Profile, names: Sequence[str]) -> tuple[float, int, int | None, int]:
    """Mean and greatest tokens of a row, the model's limit, and the length at which to truncate: it keeps 99 % whole."""
    import numpy as np

    from compress.models.pretrained import config, quiet
    from compress.models.reading_length import longest_input
    from compress.models.tokenizing import tokenizer

    its_tokenizer = tokenizer(model.folder)
    limit = longest_input(its_tokenizer, config(model.folder))
    texts = list(train.texts(names, SAMPLE))
    with quiet():
        lengths = [
            len(its_tokenizer(*row, truncation=False)["input_ids"]) for row in texts if len(row) <= 2 and any(row)
        ] or [64]
    wanted = max(16, 8 * int(np.ceil(np.quantile(lengths, 0.99) / 8)))
    return float(np.mean(lengths)), max(lengths), limit, min(wanted, limit or wanted, 512)
