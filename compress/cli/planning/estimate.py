"""Estimates what steps will take before they run: rows, training steps, minutes and disk.

A few training steps of the model are timed on this machine; everything else is computed from them, and from the constants
below, which are set by eye from runs of small models on 2 cores. What is not known beforehand (texts that are generated,
searches) is left out, and said to be.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.core.artifact import Artifact, finished
from compress.core.errors import CompressError
from compress.core.machine import memory_bytes
from compress.core.time_left import about
from compress.tasks.task import DescribedTask
from compress.training.checkpoints import KEPT

logger = logging.getLogger("compress")

BATCH, TIMED = 8, 2
"""Rows of a timed training step, and how many of them are timed after one that is not."""
FORWARD = 1 / 3
"""The share of a training step that a forward pass takes: the backward pass takes twice as long."""
START_SECONDS = 8.0
"""Opening and writing a model, of each step."""
GRAPH_SECONDS_PER_MB = 0.15
"""Exporting, rewriting and checking a graph, for each MB of fp32 weights."""
SHARE_OF_BYTES = {"int8": 0.26, "int4": 0.2, "nf4": 0.2, "fp16": 0.5, "bf16": 0.5}
"""Bytes relative to fp32; int4 keeps embeddings in more bits."""
TRAINING_BYTES = 12
"""For each parameter of a model in training, on disk: a checkpoint's weights and AdamW's two moments, in fp32."""
LARGEST_BYTES = 2e9
"""Of a model's files: a larger one takes a while to open and to time."""


@dataclass(frozen=True)
class Planned:
    """A step whose cost is to be estimated."""

    name: str
    technique: str
    settings: Any
    expected: Artifact
    source: str | None = None
    """The planned step that it starts from; None for a model that is there."""


@dataclass(frozen=True)
class StepEstimate:
    """What one step will take; None where it is not known."""

    name: str
    technique: str
    training_rows: int | None
    training_steps: int | None
    minutes: float | None
    megabytes: float | None
    done: bool = False
    """Whether it is finished already, and will be reused."""
    answers: str = ""
    """What a file of a teacher's answers has, counted, in a sentence."""

    def in_words(self) -> str:
        """`465 rows, 44 training steps, about 40 s, 69 MB`; nothing of a finished step."""
        if self.done:
            return ""
        parts = []
        if self.training_steps is not None and self.training_rows is not None:
            parts.append(f"{self.training_rows:,} rows, {self.training_steps:,} training steps")
        parts.append("time unknown" if self.minutes is None else about(self.minutes * 60))
        if self.megabytes is not None:
            parts.append(f"{self.megabytes:.0f} MB")
        return ", ".join(parts) + (f". {self.answers}" if self.answers else "")


@dataclass(frozen=True)
class Estimate:
    """What a run will take, as far as it is known."""

    steps: tuple[StepEstimate, ...]
    measuring_minutes: float | None
    minutes: float | None
    megabytes: float | None
    """On disk at most, checkpoints included, which are removed after each step."""
    basis: str
    not_counted: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As a JSON dictionary."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The estimate in words, a line for each step that is not finished and one for all."""
        steps = [f"  {one.name}: {one.in_words()}" for one in self.steps if not one.done]
        return [*steps, *self.of_all()]

    def of_all(self) -> list[str]:
        """The lines after those of the steps: measuring, and all together."""
        found = []
        if self.measuring_minutes is not None:
            found.append(f"Measuring: {about(self.measuring_minutes * 60)}")
        known = "" if self.minutes is None else f"{about(self.minutes * 60)}, {self.megabytes:.0f} MB of disk at most. "
        left_out = f" Not counted: {', '.join(self.not_counted)}." if self.not_counted else ""
        return [*found, f"Estimate: {known}{self.basis}{left_out}"]


def estimated(
    model: Artifact,
    steps: Sequence[Planned],
    task: DescribedTask | None,
    *,
    tokens: float | None = None,
    suite: Any = None,
) -> Estimate:
    """What the steps will take on this machine.

    Args:
        model: where they start; it is opened, and a few training steps of it are timed.
        tokens: the mean length of a row; None: it is read from some rows of the task.
        suite: how the results are measured; None: they are not.

    Raises:
        CompressError: the data cannot be read.
    """
    if model.format == "config":
        unknown = [_finished(one) or StepEstimate(one.name, one.technique, None, None, None, None) for one in steps]
        return Estimate(tuple(unknown), None, None, None, "not known, since the model has no weights yet.")
    rows = _rows(task, "train")
    trains = any(_epochs(one.settings) and not _finished(one) for one in steps)
    timed, basis = None, "Not timed: nothing of this trains."
    if trains or suite is not None:
        timed, basis = _timed(model, task, tokens or _tokens(model, task))
    weights = _weights(model)
    shares: dict[str | None, float] = {None: 1.0}
    found: list[StepEstimate] = []
    temporary = 0.0
    for one in steps:
        shares[one.name] = share = shares.get(one.source, 1.0) * _kept(one, model)
        if (done := _finished(one)) is not None:
            found.append(done)
            continue
        epochs = _epochs(one.settings)
        kept = weights.of_layers(share)
        count, cost, read, answers = None, START_SECONDS, None, None
        if epochs and rows:
            answers = _answers(one.settings, task)
            further = 0 if answers is None else len(answers.given) - len(answers.trained)
            read = rows + further + _further_rows(one.settings, task, rows)
            batch = one.settings.batch_size * one.settings.gradient_accumulation_steps
            count = max(1, math.ceil(read * epochs / batch))
            temporary = max(temporary, KEPT * TRAINING_BYTES * kept)
            if timed is not None:
                cost += count * batch * timed.seconds_per_row * share * getattr(one.settings, "trainings", 1.0)
                asks = one.technique == "distill" and (answers is None or answers.asks_models)
                if asks:  # the teacher's answers are computed once
                    cost += read * timed.seconds_per_row * FORWARD * shares.get(one.source, 1.0)
        if one.expected.format != "torch":
            cost += GRAPH_SECONDS_PER_MB * 4 * kept / 1e6
        minutes = None if epochs and timed is None else cost / 60
        size = 4 * kept * SHARE_OF_BYTES.get(one.expected.precision, 1.0)
        told = "" if answers is None else answers.sentence()
        found.append(StepEstimate(one.name, one.technique, read, count, minutes, size / 1e6, answers=told))
    measuring = None if suite is None or timed is None else _measuring(suite, len(steps) + 2, task, timed) / 60
    generates = task is not None and task.task.is_generative
    return Estimate(
        steps=tuple(found),
        measuring_minutes=measuring,
        minutes=sum(one.minutes or 0 for one in found) + (measuring or 0),
        megabytes=sum(one.megabytes or 0 for one in found if not one.done) + temporary / 1e6,
        basis=basis,
        not_counted=("texts that are generated to be scored",) if generates and (trains or suite is not None) else (),
    )


def is_too_large(model: Artifact) -> bool:
    """Whether some training steps would take long, or more memory than the run itself does."""
    from compress.measure.size import disk_bytes

    memory = memory_bytes()
    size = disk_bytes(model)
    return size > LARGEST_BYTES or (memory is not None and 8 * size > memory)


@dataclass(frozen=True)
class _Weights:
    parameters: float
    embedded: float
    """The share of them in the embeddings of tokens, of which no step removes any."""

    def of_layers(self, share: float) -> float:
        """The parameters of the same model with a share of its layers."""
        return self.parameters * (self.embedded + (1 - self.embedded) * share)


def _weights(model: Artifact) -> _Weights:
    from compress.measure.size import parameters
    from compress.models.pretrained import config

    count, its_config = parameters(model), config(model.folder)
    wide = getattr(its_config, "embedding_size", None) or getattr(its_config, "hidden_size", None) or 0
    tokens = getattr(its_config, "vocab_size", None) or 0
    return _Weights(count, min(1.0, tokens * wide / max(count, 1)))


@dataclass(frozen=True)
class _Timed:
    seconds_per_row: float
    """Of a training step."""
    tokens: float
    """Of a row."""


def _timed(model: Artifact, task: DescribedTask | None, tokens: float) -> tuple[_Timed | None, str]:
    """Some training steps of the model, timed, and in words what was timed; None where it cannot be."""
    import torch

    from compress.models import load as models

    if is_too_large(model):
        return None, "Not timed: the model is large, and opening it takes long."
    length = max(4, round(tokens))
    seconds = []
    try:
        if task is not None and not task.task.is_generative:
            opened = models.for_task(model.folder, task.task, seed=0).float()
        else:
            opened = models.load(model).float()
        opened.train()
        ids = torch.randint(0, min(opened.config.vocab_size, 1000), (BATCH, length))
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if opened.config.is_encoder_decoder:
            given["labels"] = ids[:, : max(4, length // 4)]
        for _ in range(1 + TIMED):
            began = time.perf_counter()
            opened(**given).logits.float().square().mean().backward()
            opened.zero_grad()
            seconds.append(time.perf_counter() - began)
    except Exception as error:  # of any kind that a model's own code raises: an estimate does without its time
        logger.debug("The model is not timed: %s", error)
        return None, "Not timed: the model does not train here by itself."
    per_row = sum(seconds[1:]) / TIMED / BATCH
    return (
        _Timed(per_row, tokens),
        f"Based on {TIMED} training steps of {BATCH} rows of {length} tokens, timed here ({per_row * 1000:.1f} ms a row); "
        "the true time can be half or twice that.",
    )


def _measuring(suite: Any, models: int, task: DescribedTask | None, timed: _Timed) -> float:
    """Seconds: every artifact reads the evaluation rows once, and each condition's calls in each round."""
    forward = timed.seconds_per_row * FORWARD
    rows = _rows(task, "evaluation") or 0
    plan = suite.for_generation() if task is not None and task.task.is_generative else suite
    calls = 0.0
    for one in plan.conditions:
        length = timed.tokens if one.length == "real" else float(one.length)
        calls += one.calls * one.batch * forward * length / max(timed.tokens, 1)
    return models * (START_SECONDS + rows * forward + plan.rounds * calls)


def _rows(task: DescribedTask | None, split: str) -> int | None:
    if task is None:
        return None
    from compress.data import loading

    return len(loading.load(task.task, task.data, split).rows)


def _further_rows(settings: Any, task: DescribedTask | None, rows: int) -> int:
    """The unlabelled and augmented rows that a student also learns from, at most: some of them may be left out."""
    from compress.data import unlabelled

    texts = 0 if task is None else unlabelled.count(task, getattr(settings, "unlabelled_data", None))
    return texts + round(getattr(settings, "augment", 0) * rows)


def _answers(settings: Any, task: DescribedTask | None) -> Any:
    """The `TeacherAnswers` that the settings name; None without any."""
    if getattr(settings, "teacher_answers", None) is None or task is None:
        return None
    from compress.distillation.teacher_answers import answers_of

    return answers_of(task, settings)


def _tokens(model: Artifact, task: DescribedTask | None) -> float:
    """The mean tokens of the first training rows."""
    if task is None:
        return 64.0
    from compress.data import loading
    from compress.models.tokenizing import tokenizer

    some = loading.load(task.task, task.data, "train").rows[:200]
    texts = [one if isinstance(one, str) else " ".join(one) for one in some["text"]]
    pairs = some.get("text_pair")
    lengths = [len(one) for one in tokenizer(model.folder)(texts, pairs, truncation=True, max_length=512)["input_ids"]]
    return sum(lengths) / max(len(lengths), 1)


def _megabytes(expected: Artifact) -> float:
    """What a finished step takes on disk; nothing where its files are gone, since a plan can be read without them."""
    from compress.measure.size import disk_bytes

    try:
        return disk_bytes(Artifact.open(expected.folder, verify=False)) / 1e6
    except (CompressError, OSError):
        return 0.0


def _kept(step: Planned, model: Artifact) -> float:
    """The share of its source that a step keeps."""
    ratio = getattr(step.settings, "target_ratio", None)
    if isinstance(ratio, float):
        return ratio
    from compress.models.layers import layer_count
    from compress.models.pretrained import config

    shares = []
    for setting, side in (("layers", "decoder"), ("encoder_layers", "encoder"), ("decoder_layers", "decoder")):
        wanted = getattr(step.settings, setting, None)
        if wanted is None:
            continue
        try:
            total = layer_count(config(model.folder), side)
        except (CompressError, AttributeError):
            continue
        shares.append((wanted if isinstance(wanted, int) else len(wanted)) / total)
    return min(1.0, sum(shares) / len(shares)) if shares else 1.0


def _epochs(settings: Any) -> float:
    return float(getattr(settings, "epochs", 0) or 0)


def _finished(step: Planned) -> StepEstimate | None:
    """The estimate of a finished step; None of one that is not."""
    if not finished(step.expected.folder, step.expected.fingerprint()):
        return None
    return StepEstimate(step.name, step.technique, None, None, 0.0, _megabytes(step.expected), True)
