"""A kind of task: which models do it, what their outputs mean, and how outputs become predictions.

Nothing outside this folder compares the names of kinds: what differs between two of them is asked of the kind.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from compress.core.errors import CompressError, guess, listing
from compress.tasks.kinds.described import Described
from compress.tasks.kinds.laws import Law

MARK = re.compile(r"^KIND\b.*=", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """One kind of task, and the models that do it."""

    name: str
    """As the hub names it: `text-classification`."""
    laws: Mapping[str, Law]
    """The values of `Task.kind` that are of this kind, each with the law of its answers."""
    heads: tuple[str, ...]
    """How transformers ends the names of the classes that do it (`ForSequenceClassification`)."""
    auto_class: str
    """The class of transformers that opens such a model."""
    in_words: str
    """Within a sentence: `sequence classification`."""
    by_token: bool = False
    """Whether a row has an answer for each of its marked tokens, rather than one."""
    generates: bool = False
    """Whether its models generate text: exported with a cache of keys and values, measured by tokens."""
    has_encoder: bool = False
    """Of a kind that generates: whether an encoder reads the source (encoder-decoder), or a decoder alone reads all."""
    has_references: bool = True
    """Of a kind that generates: whether a row has a text to be written, rather than being learned itself."""
    described: Mapping[str, Described] = field(default_factory=dict)
    """How a user describes a task of one's own, for each value of `Task.kind` that one may give it."""
    problem_types: Mapping[str, str] = field(default_factory=dict)
    """What `problem_type` in a model's config is for each value of `Task.kind`."""
    adapter_type: str = ""
    """What PEFT calls it, in the `task_type` of an adapter's config."""


@cache
def every() -> tuple[Kind, ...]:
    """All kinds, in the order of their files' names; a file here with a `KIND` is one."""
    files = [file for file in sorted(Path(__file__).parent.glob("*.py")) if MARK.search(file.read_text("utf-8"))]
    return tuple(importlib.import_module(f"compress.tasks.kinds.{file.stem}").KIND for file in files)


@cache
def described() -> dict[str, Described]:
    """How a task of one's own is described, by each value of `Task.kind` that it may have."""
    return {name: how for one in every() for name, how in one.described.items()}


def of_tasks() -> tuple[str, ...]:
    """All values of `Task.kind`."""
    return tuple(name for one in every() for name in one.laws)


def by_task(kind: str) -> Kind:
    """The kind of a value of `Task.kind`.

    Raises:
        CompressError: there is no such value; lists those there are, and a guess.
    """
    for one in every():
        if kind in one.laws:
            return one
    known = of_tasks()
    raise CompressError(f"There is no kind of task '{kind}'.{guess(kind, known)} There are: {listing(known)}.")


def by_head(classes: Sequence[str]) -> Kind | None:
    """The kind whose models were saved from one of these classes of transformers; None where they are of none of them."""
    for one in every():
        if any(name.endswith(head) for name in classes for head in one.heads):
            return one
    return None


def by_adapter(task_type: str) -> Kind:
    """The kind of head that an adapter belongs to, by PEFT's `task_type`; a classifier of texts where it says none."""
    known = {one.adapter_type: one for one in every() if not one.generates}
    return known.get(task_type, known["SEQ_CLS"])
