"""The evaluation split as each artifact reads it: encoded with its own tokenizer, cut at one length for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.data.loading import Split
from compress.data.word_pieces import WORD_IDS
from compress.measure.batches import Condition, Inputs, prepare
from compress.metrics.metric import Metric
from compress.models.reading_length import cut_at
from compress.runtimes.rows import Rows
from compress.tasks.kinds.token_classification import by_word
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
        """The labels in the split's order, where each example has one number; else empty, as where they are hidden."""
        one_number = not (self.task.of_kind.reads_words or self.task.is_multi_label)
        return (
            tuple(float(label) for label in self.split.rows["label"]) if self.split.is_labelled and one_number else ()
        )

    @property
    def labels(self) -> Any:
        """The labels as metrics take them: numbers [examples], sets [examples, labels], or an array [words] an example."""
        if not self.split.is_labelled:
            return ()
        found = self.split.rows["label"][:]
        return (
            [np.asarray(row, np.int64) for row in found]
            if self.task.of_kind.reads_words
            else np.asarray(found, np.float64)
        )

    def by_example(self, predicted: NDArray[Any], rows: Rows) -> Any:
        """Predictions of all answers as metrics take them, see `labels`.

        Args:
            predicted: [answers] or [answers, labels].
            rows: the examples as the artifact read them.
        """
        if rows.answer_words is None:
            return predicted
        return by_word(predicted, rows.answer_words, [len(words) for words in self.split.rows["text"]])

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
        word_ids = tokenized.rows[WORD_IDS][:] if WORD_IDS in tokenized.rows.column_names else None
        cut = f"{tokenized.truncated} of {len(self.split.rows)} examples were cut at {limit} tokens"
        return Rows.encode(columns, its_tokenizer.pad_token_id or 0, word_ids), (cut,) if tokenized.truncated else ()
