"""Trains the baseline students and those of further seeds, and evaluates all on the evaluation split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import is_main_process
from compress.core.cache import making, opened
from compress.data import loading
from compress.data import prompt_templates as texts
from compress.data.collate import collate_causal
from compress.data.max_lengths import fitted
from compress.data.tokenized import generative_tokens, tokens
from compress.distillation.ablation import Run, effect, metrics_of
from compress.distillation.distill_settings import Distill
from compress.distillation.students import Student
from compress.models.reading_length import positions
from compress.runtimes.generating import scores
from compress.tasks.predictions import labels_of
from compress.tasks.task import Task
from compress.tasks.technique import Work
from compress.training import validation as holdout
from compress.training.judging import inference_of
from compress.training.kept_score import kept_score


@dataclass(frozen=True)
class Trainee:
    """A student after its training."""

    student: Student
    facts: Mapping[str, Any]
    """Of its training: `training_steps` (of all stages), `curves`, `kept`."""


Trained = Callable[[Distill, Path, str, int | None], Trainee]
"""(settings of its own, the folder for checkpoints, a name, None or steps) -> a student trained with its teacher; where steps are
given, a baseline student, trained for so many of them without."""


@dataclass(frozen=True)
class Evaluation:
    """The evaluation split as a student reads it."""

    references: Sequence[Any]
    """One an example, as metrics take them."""
    outputs: Callable[[Any], Sequence[Any]]
    """(model in evaluation mode) -> what it gives for each example."""


def compare(work: Work[Distill], kept: Trainee, task: Task, trained: Trained) -> dict[str, Any]:
    """Train the other seeds and the baseline students without the teacher; evaluate all on the evaluation split.

    Each student is made, ordered and trained from the same seed on both sides, for as many steps, and read against the
    evaluation split once, at its end. Rows, tokens and the teacher's outputs are those of the student that is kept. Where the
    comparison takes a share of the steps, that student is none of those compared.

    Args:
        kept: the distilled student of the first seed, trained.
        trained: trains another one.
    """
    settings = work.settings
    split = loading.load(task, work.described.data, "evaluation")
    evaluation = evaluation_of(kept.student, task, split.rows, settings.max_length)
    comparison = _Comparison(work, kept, trained, evaluation)
    rate, facts = comparison.learning_rate()
    runs = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        with_teacher = comparison.outputs(seed)
        alone = comparison.outputs(seed, rate, steps=with_teacher["training_steps"])
        for distilled, found in ((True, with_teacher), (False, alone)):
            outputs = [one if isinstance(one, str) else np.asarray(one) for one in found["outputs"]]
            runs.append(Run(distilled, seed, outputs))
    chooses = task.law.chooses and np.ndim(evaluation.references[0]) == 0
    found = effect(
        metrics_of(task),
        evaluation.references,
        runs,
        right_or_wrong=chooses,
        steps_share=settings.steps_share,
        baseline_learning_rate=rate,
    )
    return {**found, **facts}


@dataclass(frozen=True)
class _Comparison:
    """Trains students and evaluates them, each once, also where a run was stopped between two of them."""

    work: Work[Distill]
    kept: Trainee
    trained: Trained
    evaluation: Evaluation
    done: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is known of a student, by its name."""

    def learning_rate(self) -> tuple[float | None, dict[str, Any]]:
        """The baseline's learning rate with the best score on the held-out rows, and the scores by rate, to be recorded.

        The students that are asked have the first seed. None: it has that of the student.
        """
        settings = self.work.settings
        rates = settings.baseline_learning_rates
        if not rates:
            return None, {}
        steps = self.outputs(settings.seed)["training_steps"]
        scores = {rate: self.outputs(settings.seed, rate, steps=steps)["held_out"] for rate in rates}
        best = max(rates, key=lambda rate: -math.inf if scores[rate] is None else scores[rate])
        return best, {"baseline_held_out_scores": {f"{rate:g}": score for rate, score in scores.items()}}

    def outputs(self, seed: int, rate: float | None = None, *, steps: int | None = None) -> Mapping[str, Any]:
        """A student's `outputs` for the evaluation split, its `training_steps`, and its score on the `held_out` rows (the
        higher the better), kept beside its checkpoints.

        Args:
            rate: its learning rate; None for the settings'.
            steps: of a baseline student; None for a distilled one.
        """
        at = "" if rate is None else f"-{rate:g}"
        name = f"seed-{seed}-{'distilled' if steps is None else 'baseline'}{at}"
        if name not in self.done:
            self.done[name] = self._outputs(self.work.scratch / name, seed, rate, steps)
        return self.done[name]

    def _outputs(self, folder: Path, seed: int, rate: float | None, steps: int | None) -> Mapping[str, Any]:
        settings, distilled = self.work.settings, steps is None
        before = opened(folder / "outputs")
        if before is not None and "training_steps" in before.facts:
            return before.facts
        one = self.kept
        if not (distilled and seed == settings.seed and settings.steps_share == 1):
            name = f"{self.work.name}, seed {seed}, {'with' if distilled else 'without'} the teacher"
            if rate is not None:
                name += f", learning rate {rate:g}"
            one = self.trained(self._of_one(seed, rate), folder, name, steps)
        found = {
            "outputs": [np.asarray(output).tolist() for output in self.evaluation.outputs(one.student.model.eval())],
            "training_steps": one.facts["training_steps"],
            "held_out": _held_out(one.facts) if settings.baseline_learning_rates else None,
        }
        if is_main_process():
            with making(folder / "outputs") as entry:
                entry.facts.update(found)
        return found

    def _of_one(self, seed: int, rate: float | None) -> Distill:
        """The settings of one student of the comparison."""
        settings, share = self.work.settings, self.work.settings.steps_share
        changes: dict[str, Any] = {
            "seed": seed,
            "epochs": settings.epochs * share,
            "intermediate_epochs": settings.intermediate_epochs * share,
        }
        if rate is not None:
            changes["learning_rate"] = rate
        if settings.layer_choice == "importance":  # it was measured once
            facts = self.kept.student.facts
            changes |= {
                f"{side}layers": tuple(facts[f"{side}layers_kept"])
                for side in ("", "encoder_", "decoder_")
                if f"{side}layers_kept" in facts
            }
        return settings.model_copy(update=changes)


def _held_out(facts: Mapping[str, Any]) -> float | None:
    """The score on the held-out rows of the weights that were kept, turned so that higher is better; None where there is none."""
    found = kept_score(facts)
    return None if found is None else found.value if found.higher_is_better else -found.value


def evaluation_of(student: Student, task: Task, rows: Any, max_length: int) -> Evaluation:
    """The outputs on which students are compared: predictions, texts generated greedily, or the log-likelihood of text in windows
    that overlap by half, which are as long as the blocks that were trained on.

    Args:
        student: tells how rows are read.
        rows: of the evaluation split.
    """
    its_tokenizer, config = student.tokenizer, student.model.config
    if not task.is_generative:
        read = tokens(rows, its_tokenizer, config, max_length).rows

        def predicted(model: Any) -> Sequence[Any]:
            return list(task.of_kind.judge(inference_of(model, read, rows, its_tokenizer, task)))

        return Evaluation(labels_of(rows, task), predicted)
    task = fitted(task, config)
    if task.of_kind.has_references:
        read, _ = generative_tokens(rows, task, its_tokenizer, config, max_length)
        limit = texts.settings(task).max_target
        return Evaluation(rows["label"], lambda model: holdout.greedy(model, read, its_tokenizer, limit))
    read = holdout.windows(rows, task, its_tokenizer, min(max_length, positions(config) or max_length))
    batches = [{name: one.numpy() for name, one in collate_causal([row], its_tokenizer, {}).items()} for row in read]

    def likelihoods(model: Any) -> list[Any]:
        inputs = ("input_ids", "attention_mask")
        return [scores(model, {name: one[name] for name in inputs}, one["labels"])[0][0] for one in batches]

    return Evaluation([one["labels"][0] for one in batches], likelihoods)
