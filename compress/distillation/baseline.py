"""Trains the baseline students and those of further seeds, and evaluates all on the evaluation split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

Trained = Callable[[Distill, bool, Path, str], Student]
"""(settings with a seed of their own, whether it has its teacher, the folder for checkpoints, a name) -> a trained student."""


@dataclass(frozen=True)
class Evaluation:
    """The evaluation split as a student reads it."""

    references: Sequence[Any]
    """One an example, as metrics take them."""
    outputs: Callable[[Any], Sequence[Any]]
    """(model in evaluation mode) -> what it gives for each example."""


def compare(work: Work[Distill], kept: Student, task: Task, trained: Trained) -> dict[str, Any]:
    """Train the other seeds and the baseline students without the teacher; evaluate all on the evaluation split.

    Each student is made, ordered and trained from the same seed on both sides, and read against the evaluation split once,
    at its end.

    Args:
        kept: the distilled student of the first seed, trained.
        trained: trains another one.
    """
    settings = work.settings
    split = loading.load(task, work.described.data, "evaluation")
    evaluation = evaluation_of(kept, task, split.rows, settings.max_length)
    runs = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for distilled in (True, False):
            folder = work.scratch / f"seed-{seed}-{'distilled' if distilled else 'baseline'}"
            done = opened(folder / "outputs")
            if done is None:
                student = kept
                if not (distilled and seed == settings.seed):
                    name = f"{work.name}, seed {seed}, {'with' if distilled else 'without'} the teacher"
                    student = trained(settings.model_copy(update={"seed": seed}), distilled, folder, name)
                outputs = [np.asarray(one).tolist() for one in evaluation.outputs(student.model.eval())]
                if is_main_process():
                    with making(folder / "outputs") as entry:
                        entry.facts["outputs"] = outputs
            else:
                outputs = done.facts["outputs"]
            runs.append(Run(distilled, seed, [one if isinstance(one, str) else np.asarray(one) for one in outputs]))
    chooses = task.law.chooses and np.ndim(evaluation.references[0]) == 0
    return effect(metrics_of(task), evaluation.references, runs, right_or_wrong=chooses)


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
