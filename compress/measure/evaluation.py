"""The evaluation split as each artifact reads it: encoded with its own tokenizer, cut at one length for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.data.loading import Split
from compress.measure.batches import Condition, Inputs, prepare
from compress.metrics.metric import Metric
from compress.models.reading_length import cut_at
from compress.runtimes.rows import Rows
from compress.tasks.task import Task


@dataclass(frozen=True)
class Unread:
    """A further split that cannot be read, and why its metrics are absent."""

    name: str
    metrics: Sequence[Metric]
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """What the quality of every artifact is measured on."""

    task: Task
    metrics: Sequence[Metric]
    split: Split
    max_length: int
    """Tokens after which a text is cut, special tokens included."""
    cache: Path
    root: str
    """The entry that agreement is measured with."""
    further: tuple[Evaluation | Unread, ...] = ()
    """Other splits of the same task, each with metrics of its own, that are judged and not timed."""
    name: str = "evaluation"
    """The split's."""

    @property
    def references(self) -> tuple[float, ...]:
        """The labels in the split's order; empty where they are hidden."""
        return tuple(float(label) for label in self.split.rows["label"]) if self.split.is_labelled else ()

    def identity(self) -> dict[str, Any]:
        """What decides the encoded examples, beside the artifact's tokenizer."""
        return {"split": self.split.identity, "max_length": self.max_length}

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition], seed: int) -> Inputs:
        """The split as the artifact's tokenizer gives it, and the batches of each condition.

        Raises:
            CompressError: the artifact has no tokenizer.
        """
        rows, notes = self.encode(artifact)
        return prepare(rows, conditions, seed=seed, notes=notes)

    def worker(self) -> None:
        """What a worker is told of writing: a classifier writes nothing."""
        return

    def encode(self, artifact: Artifact) -> tuple[Rows, tuple[str, ...]]:
        """The split's examples as the artifact's tokenizer gives them, and a note where some were cut.

        Raises:
            CompressError: the artifact has no tokenizer.
        """
        from compress.data.loading import tokenize
        from compress.models.load import config, tokenizer

        its_tokenizer = tokenizer(artifact.folder)
        limit = cut_at(self.max_length, its_tokenizer, config(artifact.folder))
        tokenized = tokenize(self.split.rows, its_tokenizer, limit)
        names = [name for name in its_tokenizer.model_input_names if name in tokenized.rows.column_names]
        columns = {name: tokenized.rows[name][:] for name in names}
        cut = f"{tokenized.truncated} of {len(self.split.rows)} examples were cut at {limit} tokens"
        return Rows.encode(columns, its_tokenizer.pad_token_id or 0), (cut,) if tokenized.truncated else ()
