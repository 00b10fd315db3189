"""Finds the tag names of token classification in the data, if the task does not name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.errors import CompressError, shown
from compress.data.sources import NoSuchSplit, Origin, origin
from compress.data.splits import default_cache
from compress.tasks.task import Task

VERSION = 1
OUTSIDE = "O"
MOST = 1000
"""So many different tags no task has: the column is another one."""
PREFIXED = re.compile(r"([BIESLU])-(.+)")


def named(task: Task, data: str | Path | None) -> Task:
    """The task with the names of its tags, and the split they come from: the training split, else the one that there is.

    Raises:
        CompressError: the data cannot be read, or its tags are ids.
    """
    for split in ("train", "evaluation", "test"):
        try:
            source = origin(task, data, split)
        except NoSuchSplit:
            continue
        if not source.columns.label:
            continue
        key = digest([VERSION, source.identity, source.layout, list(source.columns.needed)])
        kept = entry(default_cache() / "tags" / key, partial(_facts, task, source))
        return replace(task, label_names=tuple(kept.facts["names"]), labels_from=split)
    raise CompressError(
        f"Task '{task.name}' names no `labels`, and has no rows with tags to find them in. Name its labels."
    )


def in_order(tags: Iterable[str]) -> tuple[str, ...]:
    """The different tags, sorted, `O` first. Of entities each type has all prefixes of the scheme, though a rare one lacks some.

    >>> in_order(["B-PER", "O", "B-LOC", "I-PER"])
    ('O', 'B-LOC', 'B-PER', 'I-LOC', 'I-PER')
    """
    found = set(tags)
    parts = [PREFIXED.fullmatch(tag) for tag in found - {OUTSIDE}]
    if parts and all(parts):
        prefixes = {part.group(1) for part in parts if part}
        prefixes |= {"I"} if "B" in prefixes else set()  # entities of one word alone have no I-
        found |= {f"{prefix}-{part.group(2)}" for prefix in prefixes for part in parts if part}
    return tuple(sorted(found, key=lambda tag: (tag != OUTSIDE, tag)))


def _facts(task: Task, source: Origin, _: Path) -> dict[str, Any]:
    return {"names": _read(task, source)}


def _read(task: Task, source: Origin) -> list[str]:
    found: set[str] = set()
    for row in source.read():
        tags = row.cell(source.columns.label)
        for tag in tags if isinstance(tags, list | tuple) else ():
            if not isinstance(tag, str) or tag.strip().isdecimal():
                raise CompressError(
                    f"{source.name}: the tags of {row.place} are {shown(tag, 40)} and the like, which are ids. Name them in task "
                    f"'{task.name}', in the order of their ids: `labels: [O, B-PER, I-PER, ...]`."
                )
            found.add(tag.strip())
        if len(found) > MOST:
            raise CompressError(
                f"{source.name} has more than {MOST:,} different values in {shown(source.columns.label)}. Name the column of "
                f"tags in task '{task.name}', as `label: 2` or `label: ner_tags`."
            )
    if not found:
        raise CompressError(f"{source.name} has no tags in {shown(source.columns.label)}. Name the task's `labels`.")
    return list(in_order(found))
