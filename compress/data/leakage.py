"""Finds evaluation rows that are also training rows: a score on them measures memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.data import loading
from compress.data.folding import folded
from compress.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset

VERSION = 1
MOST = 0.05
"""The share of evaluation rows that may stand in the training rows word for word."""
BATCH = 1000


@dataclass(frozen=True)
class Overlap:
    """The number of evaluation rows that are also training rows, by text; pairs as pairs, whatever the label."""

    rows: int
    exactly: int
    nearly: int
    """Only after case, space and punctuation are left out."""

    def sentence(self, task: str) -> str:
        """The message; empty without such rows."""
        found = []
        if self.exactly:
            found.append(f"{self.exactly:,} word for word")
        if self.nearly:
            found.append(f"{self.nearly:,} except for case, space and punctuation")
        if not found:
            return ""
        return f"Of {self.rows:,} evaluation rows of '{task}' are also in its training rows: {', '.join(found)}."

    @property
    def share(self) -> float:
        """Of evaluation rows that stand there word for word."""
        return self.exactly / self.rows


def check(task: Task, data: Any) -> Overlap | None:
    """Count overlapping rows, once for the same rows, and report them; None without two splits to compare.

    Memory holds two numbers of eight bytes for each evaluation row, and none for a training row.

    Raises:
        CompressError: more than 5 % stand there word for word, and the task does not allow it.
    """
    try:
        evaluation = loading.load(task, data, "evaluation")
        training = [loading.load(task, data, name) for name in ("train", "holdout")]
    except CompressError:
        return None  # data to train on alone, or to measure on alone: whoever needs the other says what it lacks
    identities = [one.identity["content"] for one in (evaluation, *training)]
    folder = loading.default_cache() / "overlap" / digest([VERSION, *identities])
    found = Overlap(**entry(folder, lambda _: asdict(overlap(evaluation.rows, [one.rows for one in training]))).facts)
    if found.share > MOST and not task.allow_overlap:
        raise CompressError(
            f"{found.exactly:,} of {found.rows:,} evaluation rows of '{task.name}' ({found.share:.1%}) stand in its training "
            "rows word for word, so a score measures what was memorized. Remove them from one of the two, or continue with "
            "--allow-overlap (`allow_overlap: true` in the task)."
        )
    if found.exactly or found.nearly:
        warn(found.sentence(task.name))
    return found


def overlap(evaluation: Dataset, training: Iterable[Dataset]) -> Overlap:
    """The count for rows as they were loaded, with the columns `text` and, for pairs, `text_pair`."""
    rows = [(_number("\x1f".join(texts)), _number(folded(texts))) for texts in _texts(evaluation)]
    exact, plain = {one for one, _ in rows}, {one for _, one in rows}
    seen_exactly: set[int] = set()
    seen: set[int] = set()
    for split in training:
        for texts in _texts(split):
            one = _number(folded(texts))
            if one in plain:
                seen.add(one)
                itself = _number("\x1f".join(texts))
                if itself in exact:
                    seen_exactly.add(itself)
    exactly = sum(one in seen_exactly for one, _ in rows)
    return Overlap(len(rows), exactly, sum(one in seen for _, one in rows) - exactly)


def _texts(rows: Dataset) -> Iterator[tuple[str, ...]]:
    names = [name for name in ("text", "text_pair") if name in rows.column_names]
    for batch in rows.select_columns(names).iter(BATCH):
        for texts in zip(*(batch[name] for name in names), strict=True):
            yield texts if isinstance(texts[0], str) else (" ".join(texts[0]),)  # a sentence's words


def _number(text: str) -> int:
    """Eight bytes of a hash."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
