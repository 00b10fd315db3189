"""The quality of generative models: the texts that they generate, or how probable given texts are to them; and their speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.data.loading import Split
from compress.measure import agreement, batch_effect, latency, memory, outputs, quality, ragged, window_groups
from compress.measure.batches import REAL, Condition, Inputs, Unnamed
from compress.measure.evaluation import Evaluation
from compress.measure.generation_inputs import GenerationPlan, GenerativeRows, fitted, positions
from compress.measure.plan import Candidate, Entry, Plan
from compress.measure.quantities import AGREEMENT, DISTINCT, OUTPUT_TOKENS, absent
from compress.measure.rounds import Timings
from compress.measure.suite import Suite
from compress.metrics import perplexity, token_accuracy
from compress.models import load as models
from compress.tasks.scoring import metrics
from compress.tasks.task import Generation, Task


def evaluation(
    entries: Sequence[Entry], task: Task, data: str | None, split: Split, suite: Suite, cache: Path
) -> GenerationEvaluation:
    """How a suite measures the quality of all entries; the root is the first of them.

    Raises:
        CompressError: a model has no room for a target of the task's length, or for the suite's context.
    """
    artifacts = [one.artifact for one in entries]
    task = fitted(task, artifacts, suite.max_length)
    plan = GenerationPlan.of(suite, task, artifacts)
    stated = perplexity.perplexity(plan.context, plan.stride)
    return GenerationEvaluation(
        task=task,
        metrics=[stated if one.name == stated.name else one for one in metrics(task)],
        split=split,
        cache=cache,
        root=entries[0].name,
        batch_size=suite.batch_size,
        seed=suite.seed,
        plan=plan,
    )


@dataclass(kw_only=True)
class GenerationEvaluation(Evaluation):
    """Models that generate text. Their answers are the most likely tokens at each position of the references."""

    plan: GenerationPlan
    generated: dict[str, tuple[Mapping[str, Sequence[int]], Sequence[NDArray[np.int64]]]] = field(default_factory=dict)
    """The numbers of the timed examples by condition, and the tokens that each entry generated after every example."""

    @property
    def condition(self) -> dict[str, Any]:
        if self.has_references:
            decoding = self.plan.decoding
            return {"split": self.split.name, "beams": decoding.beams, "max_new_tokens": decoding.max_new_tokens}
        return {"split": self.split.name, "context": self.plan.context, "stride": self.plan.stride}

    @property
    def read(self) -> dict[str, Any]:
        if not self.has_references:
            return self.condition
        most = (self.task.generation or Generation()).max_source
        return {**self.condition, "decoding": dict(self.plan.decoding.rules), "max_source": most}

    def identity(self) -> dict[str, Any]:
        plan = self.plan
        how = asdict(plan.decoding) if self.has_references else {"context": plan.context, "stride": plan.stride}
        return {"split": self.split.identity, "generation": self.task.to_json()["generation"], **how}

    @property
    def generation(self) -> dict[str, Any]:
        return self.plan.to_json()

    @property
    def has_references(self) -> bool:
        """Whether a text is generated for each row, rather than the row's own text scored."""
        return self.task.of_kind.has_references

    @property
    def rows(self) -> GenerativeRows:
        """The data that every model encodes in its own way."""
        return GenerativeRows(self.task, self.split, self.plan, self.cache, self.seed)

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition]) -> Inputs:
        return self.rows.prepare(artifact, conditions)

    def quality(self, candidate: Candidate, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        of_texts = self._of_generated if self.has_references else self._of_given
        return of_texts(candidate, prepared, condition)

    def absent(self, entry: Entry, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
        found, mine = super().absent(entry, condition, reason), entry.fingerprint
        if not entry.is_root:
            found.append(agreement.no_tokens(mine, condition, reason))
        if self.has_references:
            names = (DISTINCT, OUTPUT_TOKENS) if entry.is_root else (DISTINCT, OUTPUT_TOKENS, AGREEMENT)
            found += [absent(mine, name, condition, reason) for name in names]
        return found

    def speed(
        self,
        candidate: Candidate,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """All measurements of its decoding speed."""
        where = {**where, "beams": self.plan.decoding.beams}
        new_tokens, mine = self.plan.new_tokens, candidate.entry.fingerprint
        found = latency.speed_of_generation(mine, timings, condition, where, baseline, new_tokens)
        if condition.length == REAL and condition.batch == 1 and candidate.entry.name in self.generated:
            numbers, texts = self.generated[candidate.entry.name]
            timed = {numbers[condition.key][int(key)]: tokens for key, tokens in timings.outputs.items()}
            if timed and self.batch_size > 1:
                together = [texts[one] for one in timed]
                under = {**where, "length": REAL}
                found.append(
                    batch_effect.changed(mine, list(timed), list(timed.values()), together, self.batch_size, under)
                )
        return found

    def growth(self, candidate: Candidate, file: Unnamed, plan: Plan) -> list[Measurement]:
        condition, where, artifact = (
            memory.condition_of_growth(plan.conditions),
            candidate.condition,
            candidate.entry.artifact,
        )
        if condition is None:
            reason = "the suite has no condition of a fixed length"
            return [memory.no_growth(candidate.entry.fingerprint, None, where, reason)]
        try:
            has_encoder, most = models.has_encoder(artifact.folder), positions(artifact)
            counts = memory.lengths(condition, self.plan.new_tokens, most, has_encoder=has_encoder)

            def peaks() -> list[tuple[int, float]]:
                with self.worker(candidate, file) as worker:
                    return list(memory.peaks(worker, condition, counts).items())

            found = dict(plan.once(f"growth of {candidate.key}", peaks))
            return memory.growth(candidate.entry.fingerprint, found, condition, where)
        except CompressError as error:
            return [memory.no_growth(candidate.entry.fingerprint, condition, where, str(error))]

    def _of_generated(self, candidate: Candidate, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        """Of the texts that it generates after the evaluation split's sources."""
        entry, mine = candidate.entry, candidate.entry.fingerprint
        tokens = ragged.load(self.asked(candidate, "generate", len(prepared.rows), ".npz"))["tokens"]
        self.generated[entry.name] = prepared.numbers, tokens
        tokenizer = models.tokenizer(entry.artifact.folder)
        decoded = tokenizer.batch_decode([row.tolist() for row in tokens], skip_special_tokens=True)
        texts = self.outputs[entry.name] = [text.strip() for text in decoded]
        found = outputs.of_outputs(mine, texts, [len(row) for row in tokens], condition)
        if not entry.is_root:
            found.append(agreement.of_texts(mine, texts, self.outputs.get(self.root), condition))
        if not self.split.is_labelled:
            return [*super().absent(entry, condition, "the references of this split are hidden"), *found]
        scored = [
            quality.of_rows(mine, one, one.statistics(texts, self.labels), condition, prepared.notes)
            for one in self.metrics
        ]
        self._scores(candidate, prepared)
        return [*scored, *self._same_tokens(entry, None, condition), *found]

    def _of_given(self, candidate: Candidate, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        """Of the probability that it gives to each token of the evaluation split's texts."""
        entry, likelihoods = candidate.entry, self._scores(candidate, prepared)
        labels = list(prepared.scored["labels"].columns["input_ids"])
        said = self.task.generation
        separate = said is not None and said.separate
        examples = window_groups.groups(self.rows.documents(entry.artifact), separate=separate)
        notes = (*prepared.notes, *([examples.note] if examples.note else []))
        told = {perplexity.METRIC.name: likelihoods, token_accuracy.METRIC.name: self.answers[entry.name]}
        found = [
            quality.of_rows(
                entry.fingerprint,
                one,
                quality.summed(one.statistics(told[one.name], labels), examples.numbers),
                condition,
                notes,
                has_interval=examples.has_interval,
            )
            for one in self.metrics
        ]
        return [*found, *self._same_tokens(entry, examples.numbers, condition)]

    def _scores(self, candidate: Candidate, prepared: Inputs) -> list[NDArray[np.float64]]:
        """Each row's log-probabilities of the references' tokens, and (kept) the most likely token at each position."""
        found = ragged.load(self.asked(candidate, "score", len(prepared.scored["labels"]), ".npz"))
        if not all(np.isfinite(row).all() for row in found["log_likelihoods"]):
            raise CompressError("its outputs are not finite numbers")
        self.answers[candidate.entry.name] = [row.astype(np.int64) for row in found["predicted"]]
        return found["log_likelihoods"]

    def _same_tokens(
        self, entry: Entry, groups: Sequence[int] | None, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        if entry.is_root:
            return []
        mine, of_root = self.answers[entry.name], self.answers.get(self.root)
        return [agreement.of_tokens(entry.fingerprint, mine, of_root, groups, condition)]
