"""Guesses which kind of task a file of rows is for, and what its columns are, from what the columns hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from compress.core.errors import CompressError, guess, listing
from compress.tasks.kinds.kind import Kind
from compress.tasks.kinds.laws import Law

MOST_CLASSES = 50
"""More different values of a column are not taken for classes."""
LABELS = (
    *("label", "labels", "class", "category", "sentiment", "mood", "tag", "target", "topic", "intent", "rating"),
    *("stars", "score", "gold", "y"),
)
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "answer"),
    ("question", "sentence"),
    ("question1", "question2"),
    ("question", "context"),
    ("query", "passage"),
    ("text", "text_pair"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
SOURCES = ("source", "document", "article", "dialogue", "dialog", "conversation", "text", "input", "src", "body")
TARGETS = ("target", "summary", "highlights", "title", "headline", "output", "translation", "tgt", "reference")
ALIKE = (0.5, 2.0)
"""A target with so many words for each word of its source is a translation; a shorter one is a summary."""


@dataclass(frozen=True)
class Column:
    """What a column of a file holds."""

    name: str
    holds: Literal["text", "number", "list"]
    filled: int
    """Cells that are not empty."""
    distinct: int
    words: float
    """The mean number of words in a filled cell, or of items in a list."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often each value, or item of a list, occurs; empty for more than a hundred different ones."""

    @property
    def is_text(self) -> bool:
        """Whether it is text that a model reads, rather than a name or a number."""
        return self.holds == "text" and (self.words >= 1.5 or self.distinct > MOST_CLASSES)

    @property
    def is_flag(self) -> bool:
        """Whether it holds nothing but 0 and 1."""
        return bool(self.counts) and set(self.counts) <= {"0", "1", "0.0", "1.0"}


def described(
    columns: Sequence[Column],
    *,
    layout: str,
    kind: Kind | None,
    law: Law | None,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The keys of a task config that say which kind of task this is, and what its columns are.

    Args:
        columns: of the training file.
        layout: its format, as `compress.data.files.format_of` has it.
        kind: of the model's head; None for a base without a head.
        law: of the answers of a model with a head.
        given: what the user says: `kind`, `text` (one column or two), `label`.

    Raises:
        CompressError: a named column is not there, or none can be the text or the label.
    """
    said = {key: value for key, value in (given or {}).items() if value}
    named = [*_names(said.get("text")), *_names(said.get("label"))]
    known = [one.name for one in columns]
    for name in named:
        if name not in known:
            raise CompressError(f"The file has no column '{name}'.{guess(name, known)} Its columns: {listing(known)}.")
    chosen = said.get("kind") or _kind(columns, layout, kind, law, said)
    if chosen == "token_classification":
        return {"kind": chosen, **_words(columns, layout, said)}
    if chosen == "language_modelling":
        return {"kind": chosen} if layout == "text" else {"kind": chosen, "source": _text(columns, said, None)}
    if chosen in ("summarization", "translation"):
        source, target = _pair(columns, said)
        return {"kind": chosen, "source": source, "target": target}
    return _labelled(columns, chosen, said)


def _kind(columns: Sequence[Column], layout: str, kind: Kind | None, law: Law | None, said: Mapping[str, Any]) -> str:
    lists = [one for one in columns if one.holds == "list"]
    if layout == "text":
        return "language_modelling"
    if layout == "conll" or (kind is not None and kind.reads_words) or (kind is None and len(lists) >= 2):
        return "token_classification"
    if kind is not None and kind.generates:
        texts = [one for one in columns if one.is_text]
        if not kind.has_references and len(texts) < 2 and not said.get("label"):
            return "language_modelling"
        source, target = (next(one for one in columns if one.name == name) for name in _pair(columns, said))
        ratio = target.words / max(source.words, 0.1)
        return "translation" if ALIKE[0] <= ratio <= ALIKE[1] else "summarization"
    if law is not None and law.is_number:
        return "regression"
    if (law is not None and law.several) or _flags(columns) or (lists and not said.get("label")):
        return "multi_label_classification"
    label = next(one for one in columns if one.name == _label(columns, said))
    fractions = label.holds == "number" and (not label.counts or any("." in value for value in label.counts))
    return "regression" if fractions and label.distinct > 10 else "classification"


def _labelled(columns: Sequence[Column], chosen: str, said: Mapping[str, Any]) -> dict[str, Any]:
    if chosen == "multi_label_classification":
        flags = _flags(columns)
        if flags and not said.get("label"):
            return {"kind": chosen, "text": _texts(columns, said, flags), "labels": flags}
        label = said.get("label") or next((one.name for one in columns if one.holds == "list"), "")
        label = label or _label(columns, said)
        column = next(one for one in columns if one.name == label)
        separator = "" if column.holds == "list" else _separator(column)
        parts = (value.split(separator) if separator else [value] for value in column.counts)
        values = sorted({part.strip() for each in parts for part in each} - {""})
        if len(values) < 2:
            raise CompressError(f"The column '{label}' holds no set of labels. Name another with --label.")
        found = {"kind": chosen, "text": _texts(columns, said, [label]), "label": label, "labels": values}
        return {**found, "label_separator": separator} if separator else found
    label = _label(columns, said)
    column = next(one for one in columns if one.name == label)
    text = _texts(columns, said, [label])
    if chosen == "regression":
        return {"kind": chosen, "text": text, "label": label}
    if not 2 <= len(column.counts) <= MOST_CLASSES * 2:
        raise CompressError(
            f"The column '{label}' has {column.distinct:,} different values, so it is no label of a classification. Name "
            "the right one with --label, or --kind regression."
        )
    return {"text": text, "label": label, "labels": sorted(column.counts, key=_in_order)}


def _in_order(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _words(columns: Sequence[Column], layout: str, said: Mapping[str, Any]) -> dict[str, Any]:
    if layout == "conll":
        return {key: said[key] for key in ("text", "label") if key in said}
    lists = sorted((one for one in columns if one.holds == "list"), key=lambda one: -one.distinct)
    if len(lists) < 2:
        raise CompressError("Token classification takes a list of words and a list of tags in each row.")
    return {"text": said.get("text") or lists[0].name, "label": said.get("label") or lists[-1].name}


def _pair(columns: Sequence[Column], said: Mapping[str, Any]) -> tuple[str, str]:
    texts = [one.name for one in columns if one.holds == "text"]
    target = said.get("label") or next((one for name in TARGETS for one in texts if one.lower() == name), None)
    source = next(iter(_names(said.get("text"))), None)
    source = source or next((one for name in SOURCES for one in texts if one.lower() == name and one != target), None)
    rest = sorted(
        (one for one in columns if one.is_text and one.name not in (source, target)), key=lambda one: -one.words
    )
    source = source or (rest.pop(0).name if rest else None)
    target = target or (rest[0].name if rest else None)
    if source is None or target is None:
        raise CompressError(
            f"A source and a target text are needed. The columns are {listing(one.name for one in columns)}. Name them: "
            "--text SOURCE --label TARGET."
        )
    return source, target


def _label(columns: Sequence[Column], said: Mapping[str, Any]) -> str:
    if said.get("label"):
        return str(said["label"])
    others = [one for one in columns if one.name not in _names(said.get("text")) and one.holds != "list"]
    by_name = [one for name in LABELS for one in others if one.name.lower() == name and not one.is_text]
    few = [one for one in others if 2 <= one.distinct <= MOST_CLASSES and one.filled > 2 * one.distinct]
    few = [one for one in few if one.words < 4]
    found = by_name or sorted(few, key=lambda one: (one.holds == "number", one.distinct))
    found = found or [one for one in others if one.holds == "number" and one.distinct < one.filled]
    if not found:
        raise CompressError(
            f"None of the columns {listing(one.name for one in columns)} looks like a label. Name it with --label."
        )
    return found[0].name


def _texts(columns: Sequence[Column], said: Mapping[str, Any], others: Sequence[str]) -> Any:
    if said.get("text"):
        names = _names(said["text"])
        return names if len(names) > 1 else names[0]
    by_name = {one.name.lower(): one.name for one in columns if one.name not in others}
    for first, second in PAIRS:
        if first in by_name and second in by_name:
            return [by_name[first], by_name[second]]
    return _text(columns, said, others)


def _text(columns: Sequence[Column], said: Mapping[str, Any], others: Sequence[str] | None) -> str:
    if said.get("text"):
        return _names(said["text"])[0]
    texts = [one for one in columns if one.holds == "text" and one.name not in (others or ())]
    if not texts:
        raise CompressError(f"None of the columns {listing(one.name for one in columns)} is a text. Name it: --text.")
    return max(texts, key=lambda one: one.words).name


def _flags(columns: Sequence[Column]) -> list[str]:
    """The columns of 0 and 1, where there are several."""
    found = [one.name for one in columns if one.is_flag]
    return found if len(found) >= 2 else []


def _separator(column: Column) -> str:
    for one in (";", "|", ","):
        if any(one in value for value in column.counts):
            return one
    return ""


def _names(value: Any) -> list[str]:
    return [] if not value else [value] if isinstance(value, str) else list(value)
