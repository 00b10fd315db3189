"""Measures models that write together: as classifiers are, with texts, or the probability of texts, in place of logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.core.progress import warn
from compress.data import generative as generation
from compress.measure import latency, memory, ragged
from compress.measure.batches import Condition, Unnamed
from compress.measure.generation import quality
from compress.measure.generation.evaluation import GenerativeEvaluation, positions
from compress.measure.plan import Entry, Lane, Plan
from compress.measure.quality import of_rows
from compress.measure.rounds import Timings
from compress.measure.run import Found, Run, carry_out
from compress.metrics import perplexity, token_accuracy
from compress.metrics.metric import Undefined
from compress.models import load as models

Tokens = list[NDArray[np.int64]]


def measure(entries: Sequence[Entry], evaluation: GenerativeEvaluation, plan: Plan) -> Found:
    """Measure all entries; one that fails has absent measurements with the reason.

    Args:
        entries: the root first, so that agreement with it is known; names are unique.
        evaluation: the examples, the task, and how is written.
        plan: what to measure.
    """
    return carry_out(entries, plan, lambda stack: GenerationRun(evaluation, plan, stack))


def lead_3(evaluation: GenerativeEvaluation) -> dict[str, Any]:
    """What the beginnings of the sources would score as their summaries, by metric; empty for any other kind of task."""
    split = evaluation.split
    if not evaluation.task.described.has_lead or not split.is_labelled:
        return {}
    leads, references = generation.lead_baseline(evaluation.task, split.rows["text"]), list(split.rows["label"])
    found = {}
    for one in evaluation.metrics:
        with suppress(Undefined):  # what has no score here has none with any model, and the models' figures say why
            found[one.name] = one.score(leads, references)
    return found


class GenerationRun(Run):
    """Models that write, judged by what they write; language models by how probable texts are to them."""

    def __init__(self, evaluation: GenerativeEvaluation, plan: Plan, stack: ExitStack) -> None:
        super().__init__(evaluation, plan, stack)
        self.evaluation = evaluation
        self.predicted: dict[str, Tokens] = {}
        """The token thought likeliest at each place of the references, by entry."""

    def load(self, lane: Lane, file: Unnamed) -> None:
        """Start the lane's worker and measure its memory; its growth is that of a process of its own."""
        super().load(lane, file)
        if lane.failure is None:
            self._measure_growth(lane, file)

    def measure_quality(self, entry: Entry, lanes: Sequence[Lane]) -> None:
        """Every metric, under the first choice of options that works, and agreement with the root."""
        lane = next((one for one in lanes if one.worker is not None), lanes[0])
        condition = {**lane.condition, **self.evaluation.condition}
        if lane.worker is not None:
            try:
                of_texts = self._of_modelling if self.evaluation.models_text else self._of_writing
                self.measurements += of_texts(lane, condition)
                return
            except CompressError as error:
                lane.failure = str(error)
                warn(f"{entry.name} cannot be evaluated: {lane.failure}")
        self.measurements += self._absent(entry, condition, lane.failure or "it could not be run")

    def speed(
        self,
        lane: Lane,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """All that is told of how fast it writes."""
        new_tokens, beams = self.evaluation.writing.new_tokens, self.evaluation.writing.decoding.beams
        where = {**where, "beams": beams}
        return latency.speed_of_generation(lane.entry.fingerprint, timings, condition, where, baseline, new_tokens)

    def _of_writing(self, lane: Lane, condition: Mapping[str, Any]) -> list[Measurement]:
        """Of the texts that it writes after the evaluation split's sources."""
        entry, split = lane.entry, self.evaluation.split
        prepared = self.prepared[entry.name]
        tokens = ragged.load(self.cached(lane, "generate", len(prepared.rows), ".npz"))["tokens"]
        texts = self._texts(entry, tokens)
        self.outputs[entry.name] = texts
        mine = entry.fingerprint
        found = quality.of_outputs(mine, texts, [len(row) for row in tokens], condition)
        if not entry.is_root:
            of_root = self.outputs.get(self.evaluation.root)
            found.append(quality.same_outputs(mine, texts, of_root, condition))
        if not split.is_labelled:
            hidden = "the references of this split are hidden"
            return [*(quality.absent(mine, one, condition, hidden) for one in self.evaluation.metrics), *found]
        references = list(split.rows["label"])
        scored = [
            of_rows(mine, one, one.statistics(texts, references), condition, prepared.notes)
            for one in self.evaluation.metrics
        ]
        self._scores(lane)
        return [*scored, *self._same_tokens(entry, None, condition), *found]

    def _of_modelling(self, lane: Lane, condition: Mapping[str, Any]) -> list[Measurement]:
        """Of the probability that it gives to each token of the evaluation split's texts."""
        entry, prepared = lane.entry, self.prepared[lane.entry.name]
        likelihoods = self._scores(lane)
        labels = list(prepared.scored["labels"].columns["input_ids"])
        # Texts of their own are the examples; of one long text, what is newly read in each window.
        said = self.evaluation.task.generation
        groups = self.evaluation.documents(entry.artifact) if said is not None and said.separate else None
        rows = {
            perplexity.METRIC.name: lambda: quality.summed(perplexity.METRIC.statistics(likelihoods, labels), groups),
            token_accuracy.METRIC.name: lambda: quality.summed(
                token_accuracy.METRIC.statistics(self.predicted[entry.name], labels), groups
            ),
        }
        measured = [
            of_rows(entry.fingerprint, one, rows[one.name](), condition, prepared.notes)
            for one in self.evaluation.metrics
        ]
        return [*measured, *self._same_tokens(entry, groups, condition)]

    def _scores(self, lane: Lane) -> list[NDArray[np.float64]]:
        """Each row's log-probabilities of the references' tokens, and (kept) the likeliest token in each place."""
        name = lane.entry.name
        found = ragged.load(self.cached(lane, "score", len(self.prepared[name].scored["labels"]), ".npz"))
        if not all(np.isfinite(row).all() for row in found["log_likelihoods"]):
            raise CompressError("its outputs are not finite numbers")
        self.predicted[name] = [row.astype(np.int64) for row in found["predicted"]]
        return found["log_likelihoods"]

    def _same_tokens(
        self, entry: Entry, groups: Sequence[int] | None, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        if entry.is_root:
            return []
        of_root = self.predicted.get(self.evaluation.root)
        return [quality.same_tokens(entry.fingerprint, self.predicted[entry.name], of_root, groups, condition)]

    def _texts(self, entry: Entry, tokens: Tokens) -> list[str]:
        tokenizer = models.tokenizer(entry.artifact.folder)
        found = tokenizer.batch_decode([row.tolist() for row in tokens], skip_special_tokens=True)
        return [text.strip() for text in found]

    def _measure_growth(self, lane: Lane, file: Unnamed) -> None:
        condition = memory.condition_of_growth(self.plan.conditions)
        where, mine = lane.condition, lane.entry.fingerprint
        if condition is None:
            reason = "the suite has no condition of a fixed length"
            self.measurements.append(memory.no_growth(mine, None, where, reason))
            return
        try:
            counts = self._counts(lane, condition)

            def peaks() -> list[tuple[int, float]]:
                with self.worker(lane, file) as worker:
                    return list(memory.peaks(worker, condition, counts).items())

            found = dict(self.plan.once(f"growth of {lane.key}", peaks))
            self.measurements += memory.growth(mine, found, condition, where)
        except CompressError as error:
            self.measurements.append(memory.no_growth(mine, condition, where, str(error)))

    def _counts(self, lane: Lane, condition: Condition) -> list[int]:
        artifact = lane.entry.artifact
        apart = models.has_encoder(artifact.folder)
        return memory.lengths(condition, self.evaluation.writing.new_tokens, positions(artifact), has_encoder=apart)

    def _absent(self, entry: Entry, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
        mine = entry.fingerprint
        found = [quality.absent(mine, one, condition, reason) for one in self.evaluation.metrics]
        if not entry.is_root:
            against = {**condition, "against": "root"}
            found.append(quality.absent(mine, token_accuracy.METRIC, against, reason))
        if not self.evaluation.models_text:
            found += quality.no_outputs(mine, condition, reason)
            if not entry.is_root:
                found.append(quality.no_agreement(mine, condition, reason))
        return found
