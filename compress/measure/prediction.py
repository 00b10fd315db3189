"""The quality of models that predict: each artifact reads the split with its own tokenizer, cut at one length for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.core.progress import warn
from compress.data import loading
from compress.data.loading import Split
from compress.data.word_pieces import WORD_IDS
from compress.measure import agreement, batches, latency, quality
from compress.measure.batches import REAL, Condition, Inputs, Unnamed
from compress.measure.evaluation import PREDICT, Evaluation
from compress.measure.plan import Entry, Lane
from compress.measure.rounds import Timings
from compress.measure.suite import Suite
from compress.metrics.metric import Metric
from compress.models.load import config, tokenizer
from compress.models.reading_length import cut_at, trained_length
from compress.runtimes.rows import Rows
from compress.tasks import predictions, scoring
from compress.tasks.kinds.token_classification import by_word
from compress.tasks.task import Task


def evaluation(
    entries: Sequence[Entry], task: Task, data: str | None, split: Split, suite: Suite, cache: Path
) -> PredictionEvaluation:
    """How a suite measures the quality of all entries; the root is the first of them."""
    metrics = scoring.metrics(task)
    found = PredictionEvaluation(
        task=task,
        metrics=[one for one in metrics if one.split == split.name],
        split=split,
        cache=cache,
        root=entries[0].name,
        batch_size=suite.batch_size,
        seed=suite.seed,
        max_length=suite.max_length or trained_length(step for one in entries for step in one.artifact.steps),
    )
    names = dict.fromkeys(one.split for one in metrics if one.split != split.name)
    further = [_further(found, name, [one for one in metrics if one.split == name], data) for name in names]
    return replace(found, further=tuple(further))


def _further(
    found: PredictionEvaluation, name: str, metrics: Sequence[Metric], data: str | None
) -> PredictionEvaluation | Unread:
    """Another split that the task is measured on, or why it is not."""
    try:
        split = loading.load(found.task, data, name)
    except CompressError as error:
        return Unread(name, metrics, str(error))
    return replace(found, metrics=metrics, split=split, name=name)


@dataclass(frozen=True)
class Unread:
    """A further split that cannot be read, and why its metrics are absent."""

    name: str
    metrics: Sequence[Metric]
    reason: str


@dataclass(kw_only=True)
class PredictionEvaluation(Evaluation):
    """Models that predict classes, labels or numbers, of an example or of each of its words."""

    max_length: int
    """Tokens after which a text is cut, special tokens included."""
    further: tuple[PredictionEvaluation | Unread, ...] = ()
    """Other splits of the same task, each with metrics of its own, that are judged and not timed."""
    name: str = "evaluation"
    """The split's."""
    timed: dict[str, tuple[Inputs, NDArray[np.float64]]] = field(default_factory=dict)
    """What each entry read, and what it answered in the numbers of its own outputs."""

    @property
    def condition(self) -> dict[str, Any]:
        return {"split": self.name, "max_length": self.max_length}

    @property
    def read(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def identity(self) -> dict[str, Any]:
        return {"split": self.split.identity, "max_length": self.max_length}

    @property
    def references(self) -> tuple[float, ...]:
        one_number = not (self.task.of_kind.reads_words or self.task.is_multi_label)
        return tuple(map(float, self.split.rows["label"])) if self.split.is_labelled and one_number else ()

    @property
    def labels(self) -> Any:
        """The labels as metrics take them: numbers [examples], sets [examples, labels], or an array [words] an example."""
        if not self.split.is_labelled:
            return ()
        found = self.split.rows["label"][:]
        if self.task.of_kind.reads_words:
            return [np.asarray(row, np.int64) for row in found]
        return np.asarray(found, np.float64)

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition]) -> Inputs:
        its_tokenizer = tokenizer(artifact.folder)
        limit = cut_at(self.max_length, its_tokenizer, config(artifact.folder))
        tokenized = loading.tokenize(self.split.rows, its_tokenizer, limit)
        names = [name for name in its_tokenizer.model_input_names if name in tokenized.rows.column_names]
        columns = {name: tokenized.rows[name][:] for name in names}
        word_ids = tokenized.rows[WORD_IDS][:] if WORD_IDS in tokenized.rows.column_names else None
        rows = Rows.encode(columns, its_tokenizer.pad_token_id or 0, word_ids)
        cut = f"{tokenized.truncated} of {len(self.split.rows)} examples were cut at {limit} tokens"
        return batches.prepare(rows, conditions, seed=self.seed, notes=(cut,) if tokenized.truncated else ())

    def quality(self, lane: Lane, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        entry = lane.entry
        said = self._said(lane, prepared)
        predicted = quality.of_task(said, entry.artifact.folder, self.task)
        one_class = predictions.one_class(predicted, self.labels, self.task)
        mine = self.answers[entry.name] = self._by_example(predicted, prepared.rows)
        self.timed[entry.name] = prepared, said
        notes = (*prepared.notes, *one_class)
        found = quality.quality(entry.fingerprint, mine, self.labels, self.metrics, condition, notes)
        if not entry.is_root:
            of_root = self.answers.get(self.root)
            found.append(agreement.of_predictions(entry.fingerprint, mine, of_root, self.task, condition))
        for other in self.further:
            found += self._on_another_split(lane, other, {**condition, "split": other.name})
        return found

    def absent(self, entry: Entry, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
        found = super().absent(entry, condition, reason)
        for other in self.further:
            under = {**condition, "split": other.name}
            found += [quality.absent(entry.fingerprint, metric, under, reason) for metric in other.metrics]
        return found

    def speed(
        self,
        lane: Lane,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """Latency, and a note where what was timed is not what was evaluated."""
        if condition.length == REAL and lane.entry.name in self.timed and self.task.law.chooses:
            prepared, said = self.timed[lane.entry.name]
            is_one_class = said.ndim == 1 and not self.task.of_kind.reads_words
            note = (
                latency.output_mismatch(timings, prepared.numbers[condition.key], said, condition.key)
                if is_one_class
                else None
            )
            if note is not None and note not in timings.notes:
                timings.notes.append(note)
                warn(f"{lane.entry.name}, {note}")
        return super().speed(lane, timings, condition, where, baseline)

    def _said(self, lane: Lane, prepared: Inputs) -> NDArray[np.float64]:
        """The predictions for all answers of the split, as indices of the artifact's own outputs."""
        scores = np.load(self.asked(lane, PREDICT, len(prepared.rows)), allow_pickle=False)
        if not np.isfinite(scores).all():
            raise CompressError("its outputs are not finite numbers")
        return quality.said(scores, lane.entry.artifact, self.task)

    def _by_example(self, predicted: NDArray[Any], rows: Rows) -> Any:
        """Predictions of all answers, [answers] or [answers, labels], as metrics take them: see `labels`."""
        if rows.answer_words is None:
            return predicted
        return by_word(predicted, rows.answer_words, [len(words) for words in self.split.rows["text"]])

    def _on_another_split(
        self, lane: Lane, other: PredictionEvaluation | Unread, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        """The metrics of a further split, by a worker of its own that is not timed."""
        artifact, mine = lane.entry.artifact, lane.entry.fingerprint
        reason = other.reason if isinstance(other, Unread) else ""
        if isinstance(other, PredictionEvaluation):
            file = Unnamed()
            try:
                prepared = other.prepare(artifact, ())
                batches.save(prepared, file.path)
                with other.worker(lane, file) as worker:
                    worker.ask("load")
                    said = other._said(replace(lane, worker=worker), prepared)
                predicted = other._by_example(quality.of_task(said, artifact.folder, other.task), prepared.rows)
                return quality.quality(mine, predicted, other.labels, other.metrics, condition, prepared.notes)
            except CompressError as error:
                reason = str(error)
            finally:
                file.close()
        return [quality.absent(mine, one, condition, reason) for one in other.metrics]
