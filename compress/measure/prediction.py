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
from compress.measure import agreement, batch_effect, batches, calibration, latency, lost_examples, quality
from compress.measure.batches import REAL, Condition, Inputs, Unnamed
from compress.measure.evaluation import PREDICT, Evaluation
from compress.measure.plan import Candidate, Entry
from compress.measure.quantities import BRIER, CALIBRATION, absent
from compress.measure.rounds import Timings
from compress.measure.suite import Suite
from compress.metrics.metric import Metric
from compress.models import labels
from compress.models.load import config, tokenizer
from compress.models.pretrained import raw_config
from compress.models.reading_length import cut_at, trained_length
from compress.runtimes.rows import of_tokenized
from compress.tasks import predictions, scoring
from compress.tasks.kinds import Inference
from compress.tasks.task import Task


def evaluation(
    entries: Sequence[Entry], task: Task, data: str | None, split: Split, suite: Suite, cache: Path
) -> PredictionEvaluation:
    """How a suite measures the quality of all entries; the root is the first of them."""
    metrics = scoring.metrics(task)
    first, is_first = "evaluation", split.name == "evaluation"
    found = PredictionEvaluation(
        task=task,
        metrics=[one for one in metrics if one.split == first],
        split=split,
        cache=cache,
        root=entries[0].name,
        batch_size=suite.batch_size,
        seed=suite.seed,
        max_length=suite.max_length or trained_length(step for one in entries for step in one.artifact.steps),
        name=split.name,
    )
    names = dict.fromkeys(one.split for one in metrics if one.split != first and is_first)
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
    timed: dict[str, tuple[Inputs, Any]] = field(default_factory=dict)
    """What each entry read, and what it predicted in the numbers of its own outputs."""

    confidences: dict[str, Sequence[float]] = field(default_factory=dict)
    """The probability that each entry gave to each of its answers, where an example has one."""

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
        found = self.labels
        return tuple(map(float, found)) if isinstance(found, np.ndarray) and found.ndim == 1 else ()

    @property
    def labels(self) -> Any:
        """The labels, see `compress.tasks.predictions.labels_of`; empty where they are hidden."""
        found = predictions.labels_of(self.split.rows, self.task) if self.split.is_labelled else ()
        return found.astype(np.float64) if isinstance(found, np.ndarray) else found

    def without_model(self, data: str | None) -> list[Measurement]:
        found = super().without_model(data)
        for other in self.further:
            if isinstance(other, PredictionEvaluation):
                found += other.without_model(data)
        return found

    def lost(self) -> dict[str, Any]:
        return lost_examples.lost_examples(
            self.task, self.split, self.labels, self.answers, self.root, self.confidences
        )

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition]) -> Inputs:
        its_tokenizer = tokenizer(artifact.folder)
        limit = cut_at(self.max_length, its_tokenizer, config(artifact.folder))
        kind = self.task.of_kind
        tokenized = loading.tokenize(self.split.rows, its_tokenizer, limit, encode=kind.encode)
        rows = of_tokenized(tokenized.rows, its_tokenizer, kind)
        cut = f"{tokenized.truncated} of {len(self.split.rows)} examples were cut at {limit} tokens"
        return batches.prepare(rows, conditions, seed=self.seed, notes=(cut,) if tokenized.truncated else ())

    def quality(self, candidate: Candidate, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        entry = candidate.entry
        inferred = self._inferred(candidate, prepared)
        predicted = self.task.of_kind.judge(inferred)
        mine = self.answers[entry.name] = quality.of_task(predicted, entry.artifact.folder, self.task)
        one_class = predictions.one_class(mine, self.labels, self.task)
        self.timed[entry.name] = prepared, predicted
        by_batch = self._changed_by_batch(candidate, inferred, predicted, condition)
        notes = (*prepared.notes, *one_class, *(note for one in by_batch for note in one.notes))
        found = quality.quality(entry.fingerprint, mine, self.labels, self.metrics, condition, notes)
        found += by_batch
        if not entry.is_root:
            of_root = self.answers.get(self.root)
            found.append(agreement.of_predictions(entry.fingerprint, mine, of_root, self.task, condition))
        probabilities = self.task.of_kind.probabilities
        if probabilities is not None and self.task.law.chooses:
            chances = quality.in_order(probabilities(inferred), entry.artifact.folder, self.task)
            measured = calibration.of_probabilities(entry.fingerprint, chances, mine, self.labels, condition)
            self.confidences[entry.name] = measured[0].raw
            found += measured
        for other in self.further:
            found += self._on_another_split(candidate, other, {**condition, "split": other.name})
        return found

    def absent(self, entry: Entry, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
        found = super().absent(entry, condition, reason)
        if self.task.of_kind.probabilities is not None and self.task.law.chooses:
            found += [absent(entry.fingerprint, name, condition, reason) for name in (CALIBRATION, BRIER)]
        for other in self.further:
            under = {**condition, "split": other.name}
            found += [quality.absent(entry.fingerprint, metric, under, reason) for metric in other.metrics]
        return found

    def speed(
        self,
        candidate: Candidate,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """Latency, and a note where what was timed is not what was evaluated."""
        if condition.length == REAL and candidate.entry.name in self.timed and self.task.law.chooses:
            prepared, predicted = self.timed[candidate.entry.name]
            is_one_class = isinstance(predicted, np.ndarray) and predicted.ndim == 1
            note = (
                latency.output_mismatch(timings, prepared.numbers[condition.key], predicted, condition.key)
                if is_one_class
                else None
            )
            if note is not None and note not in timings.notes:
                timings.notes.append(note)
                warn(f"{candidate.entry.name}, {note}")
        return super().speed(candidate, timings, condition, where, baseline)

    def _inferred(self, candidate: Candidate, prepared: Inputs) -> Inference:
        """The outputs for every example of the split, in the order of the artifact's own."""
        artifact, outputs = candidate.entry.artifact, self._outputs(candidate, len(prepared.rows))
        names = labels.of_config(raw_config(artifact.folder), artifact.folder) if self.task.label_names else ()
        return Inference(outputs, prepared.rows, self.split.rows, self.task.law, names, artifact.facts)

    def _outputs(
        self, candidate: Candidate, rows: int, one_at_a_time: Sequence[int] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """The outputs by name, see `compress.measure.evaluation.Evaluation.asked`."""
        kind = self.task.of_kind
        several = len(kind.outputs) > 1
        file = self.asked(candidate, PREDICT, rows, ".npz" if several else ".npy", one_at_a_time=one_at_a_time)
        kept = np.load(file, allow_pickle=False)
        outputs = {one.name: kept[one.name] if several else kept for one in kind.outputs}
        if not all(np.isfinite(one).all() for one in outputs.values()):
            raise CompressError("its outputs are not finite numbers")
        return outputs

    def _changed_by_batch(
        self, candidate: Candidate, inferred: Inference, predicted: Any, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        """How many answers are others one text at a time, as speed is quoted and int8 models predict; none of scores, which
        all change a little, nor where an example is read in several windows."""
        is_one_row_each = len(predicted) == len(inferred.rows) and not inferred.rows.about
        if not self.task.law.chooses or self.batch_size == 1 or not is_one_row_each:
            return []
        kind, entry = self.task.of_kind, candidate.entry
        numbers = batch_effect.examples(len(inferred.rows))
        outputs = self._outputs(candidate, len(numbers), one_at_a_time=numbers)
        texts = self.split.rows.select(numbers)
        alone = kind.judge(replace(inferred, outputs=outputs, rows=inferred.rows.chosen(numbers), texts=texts))
        together = [predicted[one] for one in numbers]
        return [batch_effect.changed(entry.fingerprint, numbers, list(alone), together, self.batch_size, condition)]

    def _on_another_split(
        self, candidate: Candidate, other: PredictionEvaluation | Unread, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        """The metrics of a further split, by a worker of its own that is not timed."""
        artifact, mine = candidate.entry.artifact, candidate.entry.fingerprint
        reason = other.reason if isinstance(other, Unread) else ""
        if isinstance(other, PredictionEvaluation):
            file = Unnamed()
            try:
                prepared = other.prepare(artifact, ())
                batches.save(prepared, file.path)
                with other.worker(candidate, file) as worker:
                    worker.ask("load")
                    found = other.task.of_kind.judge(other._inferred(replace(candidate, worker=worker), prepared))
                predicted = quality.of_task(found, artifact.folder, other.task)
                return quality.quality(mine, predicted, other.labels, other.metrics, condition, prepared.notes)
            except CompressError as error:
                reason = str(error)
            finally:
                file.close()
        return [quality.absent(mine, one, condition, reason) for one in other.metrics]
